/* tests/unit/test_op_text.c - operators on strings, patterns, and ImageDecoder. */
#include "ir/base/bytes.h"
#include "ir/codec/pattern.h"
#include "ir/ops/text_case.h"
#include "op_harness.h"

#include <string.h>

enum { MOST = 64 };

static void strings_in(struct oh *h, int rank, const int64_t *dims, size_t n,
                       const char *const *texts) {
    struct ox_str s[MOST];
    for (size_t i = 0; i < n; i++)
        s[i] = (struct ox_str){texts[i], strlen(texts[i])};
    ck_assert_int_eq(ox_tensor_strings(&h->in[h->n_in++], h->ctx, rank, dims, s), OX_OK);
}
#define STRINGS(h, ...)                                                                            \
    strings_in(h, OH_DIMS(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                 \
               sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                             \
               (const char *[]){__VA_ARGS__})

static void expect_strings(const struct oh *h, size_t n, const char *const *want) {
    ck_assert_int_eq(h->out[0]->dtype, OX_STRING);
    ck_assert_uint_eq(h->out[0]->count, n);
    const struct ox_str *s = h->out[0]->data;
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(s[i].len == strlen(want[i]) && memcmp(s[i].ptr, want[i], s[i].len) == 0,
                      "%zu: '%.*s', expected '%s'", i, (int)s[i].len, s[i].ptr, want[i]);
}
#define EXPECT(h, ...)                                                                             \
    expect_strings(h, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                      \
                   (const char *[]){__VA_ARGS__})

static void fails(struct oh *h, size_t n_out, const char *id) {
    ck_assert_int_eq(oh_eval(h, n_out), OX_INVALID);
    ck_assert_str_eq(h->id, id);
    oh_fini(h);
}

START_TEST(concat_broadcasts) {
    struct oh h;
    oh_init(&h, "StringConcat", 20, 1);
    strings_in(&h, OH_DIMS(2, 1), 2, (const char *[]){"a", ""});
    STRINGS(&h, "x", "\xc3\xa9", "");
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 2, (int64_t[]){2, 3});
    EXPECT(&h, "ax", "a\xc3\xa9", "a", "x", "\xc3\xa9", "");
    oh_fini(&h);
    oh_init(&h, "StringConcat", 20, 1); /* rank 0 and nothing */
    strings_in(&h, 0, NULL, 1, (const char *[]){"a"});
    strings_in(&h, OH_DIMS(0, 2), 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 2, (int64_t[]){0, 2});
    oh_fini(&h);
    oh_init(&h, "StringConcat", 20, 1);
    STRINGS(&h, "a", "b");
    STRINGS(&h, "a", "b", "c");
    fails(&h, 1, "shape-mismatch");
    oh_init(&h, "StringConcat", 20, 1);
    STRINGS(&h, "a");
    oh_input(&h, OX_FLOAT, OH_DIMS(1));
    fails(&h, 1, "wrong-type");
}
END_TEST

static void split(struct oh *h, const char *delimiter, int64_t maxsplit, const char *text) {
    oh_init(h, "StringSplit", 20, 1);
    h->no_infer = true;
    if (delimiter) oh_string(h, "delimiter", delimiter);
    if (maxsplit >= 0) oh_int(h, "maxsplit", maxsplit);
    STRINGS(h, text);
    ck_assert_int_eq(oh_eval(h, 2), OX_OK);
    ck_assert_int_eq(oh_infer(h, 2, false), OX_OK);
    ck_assert_int_eq(*(const int64_t *)h->out[1]->data, h->out[0]->dims[1]);
}

START_TEST(split_as_the_standard_says) {
    struct oh h;
    split(&h, NULL, -1,
          " \t a b\xc2\xa0"
          "c  "),
        EXPECT(&h, "a", "b", "c"), oh_fini(&h);
    split(&h, "", 1, "  a b  c "), EXPECT(&h, "a", "b  c "), oh_fini(&h);
    split(&h, NULL, -1, "   "), expect_strings(&h, 0, NULL), oh_fini(&h);
    split(&h, ",", -1, ",a,,b,"), EXPECT(&h, "", "a", "", "b", ""), oh_fini(&h);
    split(&h, ",", 0, "a,b"), EXPECT(&h, "a,b"), oh_fini(&h);
    split(&h, ",", -1, ""), EXPECT(&h, ""), oh_fini(&h);
    split(&h, "aa", -1, "aaab"), EXPECT(&h, "", "ab"), oh_fini(&h);
    split(&h, "longer than the text", 5, "x"), EXPECT(&h, "x"), oh_fini(&h);
    oh_init(&h, "StringSplit", 20, 1);
    oh_int(&h, "delimiter", 3);
    STRINGS(&h, "a");
    fails(&h, 1, "wrong-attribute");
}
END_TEST

static void stops(struct oh *h, size_t n, const struct ox_str *s) {
    oh_string(h, "stopwords", "");
    h->attrs[h->n_attrs - 1].type = OX_ATTR_STRINGS;
    h->attrs[h->n_attrs - 1].count = n;
    h->attrs[h->n_attrs - 1].v.strings = s;
}

START_TEST(normalizer_drops_and_changes) {
    static const struct ox_str words[] = {{"Monday", 6}, {"\xc3\x89t\xc3\xa9", 5}};
    struct oh h;
    for (int sensitive = 0; sensitive < 2; sensitive++) {
        oh_init(&h, "StringNormalizer", 10, 1);
        h.no_infer = true;
        oh_string(&h, "case_change_action", "UPPER");
        oh_int(&h, "is_case_sensitive", sensitive);
        stops(&h, 2, words);
        STRINGS(&h, "monday", "Monday",
                "stra\xc3\x9f"
                "e",
                "\xc3\xa9T\xc3\x89", "");
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        if (sensitive)
            EXPECT(&h, "MONDAY", "STRASSE", "\xc3\x89T\xc3\x89", "");
        else
            EXPECT(&h, "STRASSE", "");
        oh_fini(&h);
    }
    oh_init(&h, "StringNormalizer", 10, 1); /* nothing is left: one empty string */
    h.no_infer = true;
    stops(&h, 2, words);
    strings_in(&h, OH_DIMS(1, 1), 1, (const char *[]){"MONDAY"});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 2, (int64_t[]){1, 1});
    EXPECT(&h, "");
    oh_fini(&h);
    oh_init(&h, "StringNormalizer", 10, 1);
    strings_in(&h, OH_DIMS(2, 1), 2, (const char *[]){"a", "b"});
    fails(&h, 1, "shape-mismatch");
    oh_init(&h, "StringNormalizer", 10, 1);
    oh_string(&h, "case_change_action", "TITLE");
    STRINGS(&h, "a");
    fails(&h, 1, "wrong-attribute");
}
END_TEST

START_TEST(case_is_unicodes) {
    static const struct {
        const char *from, *to;
        enum ox_text_case which;
    } cases[] = {
        {"aZ0", "AZ0", OX_CASE_UPPER},
        {"\xc3\xa4\xd0\xb6\xcf\x89", "\xc3\x84\xd0\x96\xce\xa9", OX_CASE_UPPER},
        {"\xef\xac\x81", "FI", OX_CASE_UPPER}, /* a ligature */
        {"\xce\x9f\xce\x94\xce\x9f\xce\xa3", "\xce\xbf\xce\xb4\xce\xbf\xcf\x82",
         OX_CASE_LOWER}, /* sigma at the end of a word */
        {"\xce\xa3\xce\x91", "\xcf\x83\xce\xb1", OX_CASE_LOWER},
        {"\xc4\xb0", "i\xcc\x87", OX_CASE_LOWER},
        {"\xf0\x90\x90\x80", "\xf0\x90\x90\xa8", OX_CASE_LOWER}, /* beyond 16 bits */
        {"A\xff\xc3"
         "B",
         "a\xff\xc3"
         "b",
         OX_CASE_LOWER}, /* not UTF-8 */
        {"Ab", "Ab", OX_CASE_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char to[40];
        struct ox_str s = {cases[i].from, strlen(cases[i].from)};
        size_t n = ox_text_change_case(NULL, s, cases[i].which);
        ck_assert_uint_eq(n, strlen(cases[i].to));
        ck_assert_uint_eq(ox_text_change_case(to, s, cases[i].which), n);
        ck_assert_mem_eq(to, cases[i].to, n);
    }
}
END_TEST

/* ---- patterns -------------------------------------------------------------------------------- */

START_TEST(patterns_match_all_or_nothing) {
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"a|ab", "ab", true},
        {"a", "ab", false},
        {"", "", true},
        {"", "a", false},
        {"a$", "a\n", false},
        {".", "\n", false},
        {"(?s).", "\n", true},
        {".", "\xc3\xa9", true},
        {"..", "\xc3\xa9", false},
        {"\\w+", "\xc3\xa9", false},
        {"(?i)STRA\xc3\x89", "stra\xc3\xa9", true},
        {"\\pL+",
         "\xc3\xa9"
         "a",
         true},
        {"\\s", "\v", false},
        {"[\\s]", " ", true},
        {"[^\\S]", " ", true},
        {"\\v", "\v", true},
        {"\\101\\x42\\x{43}", "ABC", true},
        {"a{,2}", "a{,2}", true},
        {"a{2,3}", "aaa", true},
        {"a{2,3}", "a", false},
        {"[]a]+", "]a", true},
        {"[[:alpha:]-]+", "a-b", true},
        {"\\Qa.b\\E+", "a.bb", true},
        {"\\Qa.b\\E", "axb", false},
        {"(?P<n>a)b", "ab", true},
        {"(?<n>a)b", "ab", true},
        {"(?U:a+)a*", "aaa", true},
        {"x*?y", "xxy", true},
        {"a\\.b\\-", "a.b-", true},
        {".*", "\xff", false},
        {"^ab$", "ab", true},
        {"(a|b)*c|d", "ababc", true},
    };
    struct oh h;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oh_init(&h, "RegexFullMatch", 20, 1);
        oh_string(&h, "pattern", cases[i].pattern);
        STRINGS(&h, cases[i].text);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", cases[i].pattern, h.text);
        ck_assert_msg(*(const bool *)h.out[0]->data == cases[i].match, "%s on %s", cases[i].pattern,
                      cases[i].text);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(what_re2_has_not_is_refused) {
    static const char *const patterns[] = {
        "(a)\\1",   "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", "(?>a)",  "a*+",
        "a**",      "a++",   "*a",    "(*UTF)a", "(?R)",    "(?#c)a", "\\Ka",
        "\\Ca",     "\\R",   "\\X",   "\\h",     "a{1001}", "a{3,2}", "(a",
        "a)",       "[a",    "[z-a]", "\\",      "(?P<n",   "(?P=n)", "(?x)a",
        "[[:no:]]", "\\xg",  "\\8",   "[\\b]",   "\xff",    "(?|a)",  "\\p{Nope}"};
    struct oh h;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        oh_init(&h, "RegexFullMatch", 20, 1);
        oh_string(&h, "pattern", patterns[i]);
        STRINGS(&h, "a");
        ck_assert_msg(oh_check(&h, 1) == OX_INVALID, "%s is taken", patterns[i]);
        ck_assert_str_eq(h.id, "bad-pattern");
        oh_fini(&h);
    }
    oh_init(&h, "RegexFullMatch", 20, 1);
    STRINGS(&h, "a");
    fails(&h, 1, "wrong-attribute");
}
END_TEST

START_TEST(patterns_that_take_forever_end) {
    struct oh h;
    oh_init(&h, "RegexFullMatch", 20, 1);
    oh_string(&h, "pattern", "(a+)+(a+)+b");
    STRINGS(&h, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac");
    ox_status s = oh_eval(&h, 1);
    ck_assert(s == OX_UNSUPPORTED || (s == OX_OK && !*(const bool *)h.out[0]->data));
    if (s != OX_OK) ck_assert_str_eq(h.id, "pattern-limit");
    oh_fini(&h);
}
END_TEST

/* ---- TfIdfVectorizer, ImageDecoder ----------------------------------------------------------- */

static void tfidf(struct oh *h, const char *mode, int64_t skip) {
    oh_init(h, "TfIdfVectorizer", 9, 1);
    oh_string(h, "mode", mode);
    oh_int(h, "min_gram_length", 1);
    oh_int(h, "max_gram_length", 2);
    oh_int(h, "max_skip_count", skip);
    static const int64_t counts[] = {0, 2}, indexes[] = {1, 0, 2}, pool[] = {5, 6, 5, 6};
    static const float weights[] = {10, 20, 30};
    oh_ints(h, "ngram_counts", 2, counts);
    oh_ints(h, "ngram_indexes", 3, indexes);
    oh_ints(h, "pool_int64s", 4, pool);
    oh_floats(h, "weights", 3, weights);
}

START_TEST(tfidf_counts) {
    static const double counts[] = {1, 2, 2}, once[] = {10, 20, 30}, weighted[] = {10, 40, 60};
    struct oh h;
    for (int k = 0; k < 3; k++) {
        tfidf(&h,
              k == 0   ? "TF"
              : k == 1 ? "IDF"
                       : "TFIDF",
              INT64_MAX - 1); /* skipping is bounded by the row */
        oh_input_of(&h, OX_INT32, OH_DIMS(4), (int32_t[]){5, 9, 5, 6});
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_floats(&h, 0, 3, k == 0 ? counts : k == 1 ? once : weighted, 1e-6);
        oh_fini(&h);
    }
    tfidf(&h, "TF", 0); /* no items at all */
    oh_input(&h, OX_INT64, OH_DIMS(2, 0));
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 6, (double[6]){0}, 0);
    oh_fini(&h);
    tfidf(&h, "TF", 0);
    oh_input(&h, OX_FLOAT, OH_DIMS(2));
    fails(&h, 1, "wrong-type");
    tfidf(&h, "TF", -1);
    oh_input(&h, OX_INT64, OH_DIMS(2));
    fails(&h, 1, "wrong-attribute");
    tfidf(&h, "TF", 0);
    h.attrs[4].v.ints = (int64_t[]){3, 2}; /* ngram_counts goes down */
    oh_input(&h, OX_INT64, OH_DIMS(2));
    fails(&h, 1, "wrong-attribute");
}
END_TEST

START_TEST(image_decoder_orders_channels) {
    static const unsigned char ppm[] = "P6 2 1 255\n\x01\x02\x03\xff\xff\xff";
    static const unsigned char want[3][6] = {
        {1, 2, 3, 255, 255, 255}, {3, 2, 1, 255, 255, 255}, {2, 255}};
    static const char *const formats[] = {"RGB", "BGR", "Grayscale"};
    struct oh h;
    for (int k = 0; k < 3; k++) {
        oh_init(&h, "ImageDecoder", 20, 1);
        h.no_infer = true;
        oh_string(&h, "pixel_format", formats[k]);
        oh_input_of(&h, OX_UINT8, OH_DIMS(sizeof ppm - 1), ppm);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_dims(&h, 0, 3, (int64_t[]){1, 2, k == 2 ? 1 : 3});
        ck_assert_mem_eq(h.out[0]->data, want[k], h.out[0]->size);
        oh_fini(&h);
    }
    oh_init(&h, "ImageDecoder", 20, 1);
    oh_input(&h, OX_UINT8, OH_DIMS(0));
    fails(&h, 1, "bad-image");
    oh_init(&h, "ImageDecoder", 20, 1);
    oh_input(&h, OX_UINT8, OH_DIMS(1, 4));
    fails(&h, 1, "shape-mismatch");
    oh_init(&h, "ImageDecoder", 20, 1);
    oh_string(&h, "pixel_format", "CMYK");
    oh_input(&h, OX_UINT8, OH_DIMS(4));
    fails(&h, 1, "wrong-attribute");
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_text");
    TCase *t = tcase_create("op_text");
    tcase_add_test(t, concat_broadcasts);
    tcase_add_test(t, split_as_the_standard_says);
    tcase_add_test(t, normalizer_drops_and_changes);
    tcase_add_test(t, case_is_unicodes);
    tcase_add_test(t, patterns_match_all_or_nothing);
    tcase_add_test(t, what_re2_has_not_is_refused);
    tcase_add_test(t, patterns_that_take_forever_end);
    tcase_add_test(t, tfidf_counts);
    tcase_add_test(t, image_decoder_orders_channels);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* ir/ops/op_text.h - parameters of the operators on strings, and of ImageDecoder. */
#ifndef OX_IR_OPS_OP_TEXT_H
#define OX_IR_OPS_OP_TEXT_H

#include "ir/ops/op.h"
#include "ir/ops/text_case.h"

/* Strings are borrowed from attributes. */
struct ox_string_normalizer_params {
    enum ox_text_case action;
    bool case_sensitive;
    const struct ox_str *stops;
    size_t n_stops;
};
struct ox_string_split_params {
    struct ox_str delimiter; /* empty: any run of white space */
    int64_t maxsplit;        /* negative: as many as there are */
};
struct ox_regex_params {
    struct ox_str pattern;
};

enum ox_tfidf_mode { OX_TFIDF_TF, OX_TFIDF_IDF, OX_TFIDF_TFIDF };
struct ox_tfidf_params {
    enum ox_tfidf_mode mode;
    int64_t min_length, max_length, max_skip;
    const int64_t *counts, *indexes, *ints; /* the pool is ints or strings */
    const struct ox_str *strings;
    const float *weights; /* one for each column of the output, or NULL */
    size_t n_counts, n_indexes, n_pool;
    int64_t columns; /* largest of indexes + 1 */
};

enum ox_pixel_format { OX_PIXELS_RGB, OX_PIXELS_BGR, OX_PIXELS_GREY };
struct ox_image_decoder_params {
    enum ox_pixel_format format;
};

#endif

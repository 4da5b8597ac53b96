/* tests/unit/test_op_contrib.c - operators of com.microsoft. The numbers that are expected were
 * computed once by ONNX Runtime 1.30 from the same inputs; those that it has no kernel for on a CPU
 * are marked or (BiasAdd, BiasSoftmax, BiasSplitGelu, the two position biases,
 * DecoderMaskedSelfAttention, Packed*, MatMulBnb4 with transB = 0) were computed from the formula
 * by a program of its own. */
#include "op_recorded.h"

static const struct oh_recorded cases[] = {
#include "contrib_cases.inc"
#include "contrib_model_cases.inc"
};
enum { N_CASES = sizeof cases / sizeof *cases };

START_TEST(gives_what_was_recorded) {
    oh_expect_recorded(&cases[_i]);
}
END_TEST

START_TEST(spoiled_inputs_are_refused) {
    oh_spoil(&cases[_i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_contrib");
    TCase *tests = tcase_create("contrib");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, gives_what_was_recorded, 0, N_CASES);
    tcase_add_loop_test(tests, spoiled_inputs_are_refused, 0, N_CASES);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

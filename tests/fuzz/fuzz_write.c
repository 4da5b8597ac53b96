/* fuzz_write.c - see fuzz_write.h. */
#include "tests/fuzz/fuzz_write.h"

#include "backend/onnx/encode.h"
#include <stdlib.h>
#include <string.h>

unsigned char *fuzz_write_model(size_t *size, const struct ox_model *m) {
    struct ox_naming naming;
    struct ox_wire_out out;
    unsigned char *bytes = NULL;
    if (ox_naming_init(&naming, m) != OX_OK) return NULL;
    ox_wire_out_init(&out, m->ctx);
    if (ox_encode_model(&out, m, &naming, NULL) == OX_OK &&
        (bytes = malloc((size_t)out.size + 1))) {
        *size = 0;
        for (size_t i = out.n_pieces; i-- > 0; *size += out.pieces[i].size)
            memcpy(bytes + *size, out.pieces[i].data, out.pieces[i].size);
    }
    ox_wire_out_fini(&out);
    ox_naming_fini(&naming);
    return bytes;
}

/* ir/ops/op_signal.h - parameters of the window functions, DFT and STFT. */
#ifndef OX_IR_OPS_OP_SIGNAL_H
#define OX_IR_OPS_OP_SIGNAL_H

#include "ir/ops/op.h"

enum ox_taper { OX_TAPER_HANN, OX_TAPER_HAMMING, OX_TAPER_BLACKMAN, OX_TAPERS };
extern const enum ox_taper ox_tapers[OX_TAPERS];

struct ox_taper_params {
    ox_dtype dtype;
    bool periodic;
};

struct ox_dft_params {
    bool inverse, onesided;
    int64_t axis; /* before opset 20; later input 2 says, and -2 is the default */
    bool axis_is_input;
};

struct ox_mel_params {
    ox_dtype dtype;
};

struct ox_stft_params {
    bool onesided;
};

#endif

/* tests/unit/test_native_steps.c - what the lowering makes of small models, and that its steps
 * compute what the reference executor does, with one thread and with two: each case names the kinds
 * of steps that it must become. Where the last operator quantizes, results may be one off (a tie,
 * or a scale rounded once more or less); else they agree to 1e-5 of the largest magnitude. */
#include "tests/unit/blob_harness.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD "<ir_version: 8, opset_import: [\"\" : 17]> "
/* Quantization of x by 0.02 and 120 (uint8), and of results by 0.05 and 110. */
#define SCALES "float sx = {0.016}, uint8 zx = {120}, float sy = {0.05}, uint8 zy = {110}"

/* In the texts, @f12 is twelve floats, @i12 twelve integers from -127 to 127, @p12 twelve factors
 * about 0.01, @z12 twelve zeros. */
static const struct {
    const char *name, *kinds, *text;
} cases[] = {
    {"convolution", "transpose conv transpose",
     "m (float[2,8,9,7] x) => (float[2,6,5,7] y) <float[6,8,3,3] w = {@f432}, float[6] b = {@f6}> "
     "{ y = Conv <pads=[1,1,1,1], strides=[2,1]> (x, w, b) }"},
    {"groups, dilation, same padding", "transpose conv transpose",
     "m (float[1,6,9,8] x) => (float[1,4,9,8] y) <float[4,3,3,2] w = {@f72}> { y = Conv <group=2, "
     "dilations=[2,1], auto_pad=\"SAME_UPPER\"> (x, w) }"},
    {"depthwise and clip", "transpose conv transpose",
     "m (float[1,20,9,8] x) => (float[1,20,5,4] y) <float[20,1,5,5] w = {@f500}, float lo = "
     "{-0.5}, float hi = {0.75}> "
     "{ c = Conv <group=20, pads=[2,2,2,2], strides=[2,2]> (x, w) y = Clip(c, lo, hi) }"},
    {"depthwise, wide", "transpose conv transpose",
     "m (float[2,70,9,23] x) => (float[2,70,9,23] y) <float[70,1,3,3] w = {@f630}, float[70] b = "
     "{@f70}> { y = Conv <group=70, pads=[1,1,1,1]> (x, w, b) }"},
    {"depthwise with dilation, one row", "transpose conv transpose",
     "m (float[1,33,30] x) => (float[1,33,13] y) <float[33,1,3] w = {@f99}> { y = Conv <group=33, "
     "pads=[1,0], dilations=[2], strides=[2]> (x, w) }"},
    {"depthwise, smaller than its window", "transpose conv transpose",
     "m (float[1,17,2,3] x) => (float[1,17,2,3] y) <float[17,1,7,7] w = {@f833}> { c = Conv "
     "<group=17, pads=[3,3,3,3]> (x, w) y = Relu(c) }"},
    {"one dim", "transpose conv transpose",
     "m (float[2,5,30] x) => (float[2,7,14] y) <float[7,5,3] w = {@f105}> { c = Conv <strides=[2]> "
     "(x, w) y = Relu(c) }"},
    {"filters beyond the cache", "transpose conv transpose",
     "m (float[1,1400,3,3] x) => (float[1,200,3,3] y) <float[200,1400,1,1] w = {@f280000}, "
     "float[200] b = {@f200}> { y = Conv(x, w, b) }"},
    {"residual block", "transpose conv conv transpose",
     "m (float[1,8,6,6] x) => (float[1,8,6,6] y) <float[8,8,3,3] w = {@f576}, float[8,8,1,1] v = "
     "{@f64}> "
     "{ a = Conv <pads=[1,1,1,1]> (x, w) r = Relu(a) b = Conv(r, v) s = Add(b, r) t = Sigmoid(s) y "
     "= Identity(t) }"},
    {"residual block with a clamp, either order", "transpose conv conv conv conv transpose",
     "m (float[2,8,6,6] x) => (float[2,40,3,3] y) <float[8,8,3,3] w = {@f576}, float[40,8,1,1] u = "
     "{@f320}, float[40,8,1,1] v = {@f320}, float[40,40,3,3] z = {@f14400}, float hi = {30}, float "
     "lo = {-20}> "
     "{ a = Conv <pads=[1,1,1,1]> (x, w) b = Conv <strides=[2,2]> (a, v) d = Conv <strides=[2,2]> "
     "(x, u) s = Add(d, b) r = Relu(s) "
     "  e = Conv <pads=[1,1,1,1]> (r, z) t = Add(r, e) y = Clip(t, lo, hi) }"},
    {"sum of what a convolution reads and gives", "transpose conv transpose",
     "m (float[1,40,5,5] x) => (float[1,40,5,5] y) <float[40,40,1,1] w = {@f1600}, float[40] b = "
     "{@f40}> { c = Conv(x, w, b) y = Add(x, c) }"},
    {"sums that are not of the same dims, or wanted otherwise", "transpose conv transpose chain",
     "m (float[1,8,5,5] x, float[1,8,1,5] z) => (float[1,8,5,5] y, float[1,8,5,5] c) "
     "<float[8,8,1,1] w = {@f64}> { c = Conv(x, w) a = Add(c, z) y = Add(c, a) }"},
    {"grouped sum", "transpose conv binary transpose",
     "m (float[1,8,5,5] x) => (float[1,8,5,5] y) <float[8,4,1,1] w = {@f32}> { c = Conv <group=2> "
     "(x, w) y = Add(x, c) }"},
    {"swish of a sum, behind a depthwise and a 3x3 convolution",
     "transpose conv conv conv transpose",
     "m (float[1,64,12,12] x) => (float[1,64,12,12] y) <float[64,1,3,3] w = {@f576}, "
     "float[64,64,3,3] u = {@f36864}, float[64,64,1,1] v = {@f4096}, float[64] b = {@f64}> "
     "{ c = Conv <group=64, pads=[1,1,1,1]> (x, w) cs = Sigmoid(c) cm = Mul(cs, c) d = Conv "
     "<pads=[1,1,1,1]> (cm, u, b) ds = Sigmoid(d) dm = Mul(d, ds) "
     "  e = Conv(dm, v) f = Add(e, cm) fs = Sigmoid(f) y = Mul(f, fs) }"},
    {"hardswish and sigmoid of products", "dense dense",
     "m (float[5,12] x) => (float[5,9] y) <float[12,9] w = {@f108}, float[9] b = {@f9}, float[9,9] "
     "v = {@f81}> "
     "{ p = MatMul(x, w) a = Add(p, b) r = HardSwish(a) q = MatMul(r, v) s = Add(q, r) y = "
     "Sigmoid(s) }"},
    {"joined and normalized", "transpose conv conv scale conv scale concat binary conv transpose",
     "m (float[2,5,6,7] x) => (float[2,4,6,7] y) <float[19,5,1,1] u = {@f95}, float[3,19,1,1] v = "
     "{@f57}, float[22] s = {@p22}, float[22] b = {@f22}, float[22] e = {@f22}, float[22] r = "
     "{@p22}, "
     "float[4,22,1,1] w = {@f88}, float[19,22,1,1] t = {@f418}, float[41] s2 = {@p41}, float[41] "
     "b2 = {@f41}, float[41] e2 = {@f41}, float[41] r2 = {@p41}, float[4,41,1,1] w2 = {@f164}> "
     "{ a = Conv(x, u) c = Conv(a, v) j = Concat <axis=1> (c, a) n = BatchNormalization(j, s, b, "
     "e, r) m = Relu(n) d = Conv(m, t) "
     "  k = Concat <axis=-3> (d, a, c) k2 = Concat <axis=1> (a, a, c) g = BatchNormalization(k2, "
     "s2, b2, e2, r2) h = Mul(k, g) y = Conv(h, w2) }"},
    {"pools and joins", "transpose conv pool concat transpose",
     "m (float[1,4,9,9] x) => (float[1,2,5,5] y) <float[6,4,1,1] w = {@f24}, float[2,12,1,1] v = "
     "{@f24}> "
     "{ c = Conv(x, w) p = MaxPool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]> (c) q = "
     "AveragePool <kernel_shape=[2,2], strides=[2,2], ceil_mode=1> (c) "
     "  j = Concat <axis=1> (p, q) y = Conv(j, v) }"},
    {"squeeze and excite", "transpose conv mean conv binary transpose",
     "m (float[1,6,5,5] x) => (float[1,6,5,5] y) <float[6,6,1,1] w = {@f36}, float[6,6,1,1] v = "
     "{@f36}> "
     "{ c = Conv(x, w) g = GlobalAveragePool(c) e = Conv(g, v) s = Sigmoid(e) y = Mul(c, s) }"},
    {"normalized", "transpose scale conv transpose",
     "m (float[1,6,5,5] x) => (float[1,4,5,5] y) <float[6] s = {@p6}, float[6] b = {@f6}, float[6] "
     "e = {@f6}, float[6] v = {@p6}, float[4,6,1,1] w = {@f24}> "
     "{ n = BatchNormalization(x, s, b, e, v) r = Relu(n) y = Conv(r, w) }"},
    {"bilinear", "transpose conv resize transpose",
     "m (float[1,3,5,4] x) => (float[1,4,10,8] y) <float[4,3,1,1] w = {@f12}, float[4] f = "
     "{1,1,2,2}> "
     "{ c = Conv(x, w) y = Resize <mode=\"linear\"> (c, , f) }"},
    {"bilinear, dims rounded down", "transpose conv transpose generic",
     "m (float[1,3,7,5] x) => (float[1,4,10,2] y) <float[4,3,1,1] w = {@f12}, float[4] f = "
     "{1,1,1.5,0.5}> "
     "{ c = Conv(x, w) y = Resize <mode=\"linear\"> (c, , f) }"},
    {"maximum of dilated windows over padding", "transpose conv transpose generic",
     "m (float[1,3,9,7] x) => (float[1,4,10,7] y) <float[4,3,1,1] w = {@f12}> "
     "{ c = Conv(x, w) y = MaxPool <kernel_shape=[2,2], dilations=[1,2], pads=[1,1,1,1]> (c) }"},
    {"int8 table of a constant of rank 3", "shift table shift",
     "m (uint8[2,5,40] x) => (uint8[2,5,40] y) <float[1,1,1] h = {0.5}, " SCALES
     "> { d = DequantizeLinear(x, sx, zx) a = Mul(d, h) y = QuantizeLinear(a, sy, zy) }"},
    {"channels last by hand", "transpose conv concat unary",
     "m (float[1,3,5,4] x) => (float[1,5,4,6] y) <float[6,3,1,1] w = {@f18}> { c = Conv(x, w) t = "
     "Transpose <perm=[0,2,3,1]> (c) y = Tanh(t) }"},
    {"products", "dense dense matmul softmax",
     "m (float[2,5,12] x, float[10,12] z) => (float[2,5,10] y) <float[12,9] w = {@f108}, float[9] "
     "b = {@f9}, float[9,12] v = {@f108}> "
     "{ p = MatMul(x, w) a = Add(p, b) r = Relu(a) q = MatMul(r, v) t = Transpose <perm=[1,0]> (z) "
     "s = MatMul(q, t) y = Softmax <axis=-1> (s) }"},
    {"batches", "matmul binary",
     "m (float[2,1,5,40] x, float[3,40,7] z, float[7,40] w) => (float[2,3,5,5] y) "
     "{ a = MatMul(x, z) t = Transpose <perm=[1,0]> (w) b = MatMul(x, t) c = Mul(a, b) u = "
     "Transpose <perm=[0,1,3,2]> (c) y = MatMul(c, u) }"},
    {"shared table", "matmul generic dense",
     "m (float[3,40] x, int64[3] i) => (float[3,40] y) <float[11,40] w = {@f440}> "
     "{ t = Transpose <perm=[1,0]> (w) p = MatMul(x, t) q = MatMul(p, w) g = Gather(w, i) y = "
     "Add(q, g) }"},
    {"wide table, many rows", "matmul chain",
     "m (float[30,260] x, float[1025,260] w) => (float[30,1025] y) "
     "{ t = Transpose <perm=[1,0]> (w) p = MatMul(x, t) a = Tanh(p) y = Mul(a, p) }"},
    {"bilinear by a rounded factor", "transpose conv resize",
     "m (float[1,3,5,6] x) => (float[1,4,33,50] y) <float[4,3,1,1] w = {@f12}, float[4] f = "
     "{1,1,6.6,8.3333333}> "
     "{ c = Conv(x, w) y = Resize <mode=\"linear\", coordinate_transformation_mode=\"asymmetric\"> "
     "(c, , f) }"},
    {"channels split and shuffled", "transpose conv channels concat",
     "m (float[2,6,5,4] x) => (float[2,8,5,4] y) "
     "<float[8,6,1,1] w = {@f48}, float[4,4,1,1] v = {@f16}, float[8,8,1,1] u = {@f64}, int64[5] r "
     "= {2,2,4,5,4}, int64[4] q = {2,8,5,4}> "
     "{ c = Conv(x, w) a, b = Split <axis=1> (c) d = Conv(a, v) j = Concat <axis=1> (b, d) s = "
     "Reshape(j, r) t = Transpose <perm=[0,2,1,3,4]> (s) k = Reshape(t, q) y = Conv(k, u) }"},
    {"every other channel", "transpose conv channels concat",
     "m (float[1,6,5,4] x) => (float[1,3,5,4] y) "
     "<float[8,6,1,1] w = {@f48}, float[4,4,1,1] v = {@f16}, float[3,8,1,1] u = {@f24}, int64[3] r "
     "= {4,2,20}, int64[5] q = {2,-1,4,5,4}, int64 one = {1}, int64 zero = {0}> "
     "{ c = Conv(x, w) s = Reshape(c, r) t = Transpose <perm=[1,0,2]> (s) k = Reshape(t, q) a = "
     "Gather <axis=0> (k, zero) b = Gather <axis=0> (k, one) "
     "  d = Conv(b, v) j = Concat <axis=1> (a, d) y = Conv(j, u) }"},
    {"gemm on top of a gemm", "dense",
     "m (float[5,12] x, float[5,6] h) => (float[5,9] y) <float[9,12] w = {@f108}, float[6,9] v = "
     "{@f54}, float[9] b = {@f9}> "
     "{ a = Gemm <transB=1> (x, w, b) c = Gemm(h, v, a) y = Relu(c) }"},
    {"swish spelled out", "chain",
     "m (float[3,40] x, float[3,40] z) => (float[3,40] y) { a = Mul(x, z) b = Sigmoid(x) c = "
     "Mul(b, x) d = Add(a, c) y = Neg(d) }"},
    {"attention", "attention",
     "m (float[2,7,3,8] q, float[2,3,9,8] k, float[2,9,3,5] v, float[2,1,7,9] bias) => "
     "(float[2,7,3,5] y) <float s = {0.35}> "
     "{ qt = Transpose <perm=[0,2,1,3]> (q) kt = Transpose <perm=[0,1,3,2]> (k) vt = Transpose "
     "<perm=[0,2,1,3]> (v) p = MatMul(qt, kt) c = Mul(p, s) "
     "  m = Add(c, bias) w = Softmax <axis=-1> (m) o = MatMul(w, vt) y = Transpose "
     "<perm=[0,2,1,3]> (o) }"},
    {"attention, scaled in front", "attention",
     "m (float[6,1,8] q, float[6,40,8] k, float[6,40,8] v) => (float[6,1,8] y) <float s = {0.6}, "
     "float[1] r = {2}> "
     "{ qs = Mul(s, q) kt = Transpose <perm=[0,2,1]> (k) ks = Div(kt, r) p = MatMul(qs, ks) w = "
     "Softmax <axis=2> (p) y = MatMul(w, v) }"},
    {"attention with keys from rows", "attention",
     "m (float[1,70,2,16] q, float[1,600,2,16] k, float[1,2,600,16] v, float[600] bias) => "
     "(float[1,2,70,16] y) "
     "{ qt = Transpose <perm=[0,2,1,3]> (q) kt = Transpose <perm=[0,2,3,1]> (k) p = MatMul(qt, kt) "
     "m = Add(bias, p) w = Softmax <axis=-1> (m) y = MatMul(w, v) }"},
    {"attention that broadcasts", "generic matmul softmax",
     "m (float[2,3,5,8] q, float[2,1,6,8] k, float[2,1,6,8] v) => (float[2,3,5,8] y) "
     "{ kt = Transpose <perm=[0,1,3,2]> (k) p = MatMul(q, kt) w = Softmax <axis=-1> (p) o = "
     "MatMul(w, v) y = Cosh(o) }"},
    {"gemm", "dense",
     "m (float[5,12] x) => (float[5,9] y) <float[9,12] w = {@f108}, float[9] b = {@f9}> { y = Gemm "
     "<transB=1> (x, w, b) }"},
    {"sums of products", "dense dense dense",
     "m (float[2,5,12] x) => (float[2,5,12] y) <float[12,9] w = {@f108}, float[9] b = {@f9}, "
     "float[9,12] v = {@f108}, float[12] d = {@f12}, float[12,12] u = {@f144}> "
     "{ p = MatMul(x, w) a = Add(p, b) r = Relu(a) q = MatMul(r, v) s = Add(d, q) t = Add(x, s) h "
     "= MatMul(t, u) i = Add(h, t) y = Relu(i) }"},
    {"weights beyond the cache", "dense",
     "m (float[3,1400] x) => (float[3,200] y) <float[1400,200] w = {@f280000}, float[200] b = "
     "{@f200}> { y = Gemm(x, w, b) }"},
    {"gelu", "unary",
     "m (float[3,40] x) => (float[3,40] y) <float r = {1.4142135}, float one = {1}, float h = "
     "{0.5}> "
     "{ d = Div(x, r) e = Erf(d) a = Add(e, one) p = Mul(x, a) y = Mul(p, h) }"},
    {"elementwise", "chain chain",
     "m (float[2,3,8] x, float[3,1] z) => (float[2,3,8] y) { a = Abs(x) b = Sqrt(a) c = "
     "HardSwish(x) d = Sub(b, z) e = Max(c, d) f = Add(b, z) y = Mul(e, f) }"},
    {"chain of everything", "chain",
     "m (float[2,3,8] x) => (float[2,3,8] y) <float lo = {-0.9}, float two = {2}, float[8] v = "
     "{@f8}, float[3,1] u = {@f3}> "
     "{ a = Sigmoid(x) b = Softplus(a) c = Mul(b, v) d = Clip(c, lo) e = Pow(d, two) f = Sub(e, u) "
     "g = PRelu(f, v) h = Selu(g) i = HardSigmoid <alpha=0.3> (h) "
     "  j = Exp(i) k = Erf(j) y = Div(k, two) }"},
    {"swish between convolutions", "transpose conv binary conv transpose",
     "m (float[1,6,5,5] x) => (float[1,6,5,5] y) <float[6,6,1,1] w = {@f36}, float[1,6,1,1] s = "
     "{@f6}> "
     "{ c = Conv(x, w) d = Sigmoid(c) e = Mul(c, d) f = Mul(e, s) y = Conv(f, w) }"},
    {"chain across outer dims", "chain",
     "m (float[4,1,7,1] x, float[1,3,1,5] z, float[4,3,7,5] t) => (float[4,3,7,5] y) { a = Add(t, "
     "x) b = Mul(a, z) y = Tanh(b) }"},
    {"long chain", "chain",
     "m (float[1300] x, float s) => (float[1300] y) { a = Mul(x, s) b = Tanh(a) c = Add(x, b) d = "
     "Mul(c, s) e = Max(d, x) f = Neg(e) g = Min(f, s) h = Log(s) y = Sub(g, h) }"},
    {"mish spelled out", "chain",
     "m (float[3,40] x) => (float[3,40] y) { a = Softplus(x) b = Tanh(a) c = Mul(x, b) y = "
     "Softsign(c) }"},
    {"lstm", "recurrent",
     "m (float[9,3,7] x) => (float[9,1,3,5] y, float[1,3,5] h, float[1,3,5] c) <float[1,20,7] w = "
     "{@f140}, float[1,20,5] r = {@f100}, float[1,40] b = {@f40}> "
     "{ y, h, c = LSTM <hidden_size=5> (x, w, r, b) }"},
    {"lstm of both directions with a state", "recurrent",
     "m (float[11,2,13] x, float[2,2,37] i, float[2,2,37] j) => (float[11,2,2,37] y, float[2,2,37] "
     "h, float[2,2,37] c) "
     "<float[2,148,13] w = {@f3848}, float[2,148,37] r = {@f10952}, float[2,296] b = {@f592}> "
     "{ y, h, c = LSTM <hidden_size=37, direction=\"bidirectional\"> (x, w, r, b, , i, j) }"},
    {"lstm backwards, the last state alone", "recurrent",
     "m (float[6,1,4] x, float[1,1,18] j) => (float[1,1,18] c) <float[1,72,4] w = {@f288}, "
     "float[1,72,18] r = {@f1296}> "
     "{ y, h, c = LSTM <direction=\"reverse\"> (x, w, r, , , , j) }"},
    {"lstm longer than a block", "recurrent",
     "m (float[300,3,2] x) => (float[300,2,3,3] y, float[2,3,3] h) <float[2,12,2] w = {@f48}, "
     "float[2,12,3] r = {@f72}, float[2,24] b = {@f48}> "
     "{ y, h = LSTM <direction=\"bidirectional\"> (x, w, r, b) }"},
    {"lstm, wide", "recurrent",
     "m (float[3,1,5] x, float[1,1,260] i) => (float[3,1,1,260] y) <float[1,1040,5] w = {@f5200}, "
     "float[1,1040,260] r = {@f270400}> "
     "{ y = LSTM (x, w, r, , , i) }"},
    {"lstm with lengths, or another function, or weights that are not known", "generic",
     "m (float[4,1,3] x, float[1,8,3] v) => (float[4,1,1,2] y, float[4,1,1,2] z, float[4,1,1,2] t) "
     "<float[1,8,3] w = {@f24}, float[1,8,2] r = {@f16}, int32[1] n = {3}> "
     "{ y = LSTM (x, w, r, , n) z = LSTM <activations=[\"Sigmoid\",\"Relu\",\"Tanh\"]> (x, w, r) t "
     "= LSTM (x, v, r) }"},
    {"gru", "recurrent",
     "m (float[9,3,7] x, float[2,3,19] i) => (float[9,2,3,19] y, float[2,3,19] h) <float[2,57,7] w "
     "= {@f798}, float[2,57,19] r = {@f2166}, float[2,114] b = {@f228}> "
     "{ y, h = GRU <direction=\"bidirectional\"> (x, w, r, b, , i) }"},
    {"gru, one row by many columns", "recurrent",
     "m (float[5,1,7] x) => (float[5,1,1,90] y) <float[1,270,7] w = {@f1890}, float[1,270,90] r = "
     "{@f24300}, float[1,540] b = {@f540}> { y = GRU (x, w, r, b) }"},
    {"gru, reset after the product", "recurrent",
     "m (float[9,3,7] x) => (float[9,1,3,19] y, float[9,1,3,19] z) <float[1,57,7] w = {@f399}, "
     "float[1,57,19] r = {@f1083}, float[1,114] b = {@f114}> "
     "{ y = GRU <linear_before_reset=1, direction=\"reverse\"> (x, w, r, b) z = GRU "
     "<linear_before_reset=1> (x, w, r) }"},
    {"int8 convolution", "shift transpose quantize conv_s8 transpose",
     "m (float[1,8,7,7] x) => (uint8[1,70,7,7] y) <int8[70,8,3,3] w = {@i5040}, float[70] s = "
     "{@p70}, int8[70] z = {@z70}, int32[70] b = {@i70}, " SCALES "> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) v = DequantizeLinear "
     "<axis=0> (w, s, z) bs = Mul(s, sx) "
     "  c = Conv <pads=[1,1,1,1]> (d, v) r = Relu(c) y = QuantizeLinear(r, sy, zy) }"},
    {"int8 depthwise", "transpose quantize conv_s8 transpose",
     "m (float[2,37,9,8] x) => (int8[2,37,5,4] y) <int8[37,1,3,3] w = {@i333}, float[37] s = "
     "{@p37}, int8[37] z = {@z37}, float sx = {0.02}, int8 zx = {-7}, float sy = {0.1}, int8 zy = "
     "{5}> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) v = DequantizeLinear "
     "<axis=0> (w, s, z) "
     "  c = Conv <group=37, pads=[1,1,1,1], strides=[2,2]> (d, v) y = QuantizeLinear(c, sy, zy) }"},
    {"int8 depthwise with dilation", "shift transpose quantize conv_s8 transpose",
     "m (float[1,16,12,11] x) => (uint8[1,16,8,7] y) <int8[16,1,5,5] w = {@i400}, float[16] s = "
     "{@p16}, int8[16] z = {@z16}, " SCALES "> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) v = DequantizeLinear "
     "<axis=0> (w, s, z) "
     "  c = Conv <group=16, dilations=[2,2], pads=[2,2,2,2]> (d, v) y = QuantizeLinear(c, sy, zy) "
     "}"},
    {"int8 product", "shift dense_s8 shift",
     "m (uint8[5,40] x) => (uint8[5,9] y) <int8[9,40] w = {@i360}, float[9] s = {@p9}, int8[9] z = "
     "{@z9}, float[9] b = {@f9}, " SCALES "> "
     "{ d = DequantizeLinear(x, sx, zx) v = DequantizeLinear <axis=0> (w, s, z) c = Gemm "
     "<transB=1> (d, v, b) y = QuantizeLinear(c, sy, zy) }"},
    {"int8 product with a float result", "quantize dense_s8f unary",
     "m (float[2,5,40] x) => (float[2,5,9] y) <int8[40,9] w = {@i360}, float[9] s = {@p9}, int8[9] "
     "z = {@z9}, float[9] b = {@f9}, " SCALES "> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) v = DequantizeLinear "
     "<axis=1> (w, s, z) c = MatMul(d, v) a = Add(c, b) y = Tanh(a) }"},
    {"int8 block", "shift transpose quantize conv_s8 table mean transpose",
     "m (float[1,8,6,6] x) => (uint8[1,8,1,1] y) <int8[8,8,1,1] w = {@i64}, float[8] s = {@p8}, "
     "int8[8] z = {@z8}, " SCALES "> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) v = DequantizeLinear "
     "<axis=0> (w, s, z) c = Conv(d, v) cq = QuantizeLinear(c, sy, zy) "
     "  e = DequantizeLinear(cq, sy, zy) h = Sigmoid(e) hq = QuantizeLinear(h, sx, zx) hd = "
     "DequantizeLinear(hq, sx, zx) "
     "  a = Mul(e, hd) aq = QuantizeLinear(a, sy, zy) ad = DequantizeLinear(aq, sy, zy) g = "
     "GlobalAveragePool(ad) y = QuantizeLinear(g, sy, zy) }"},
    {"int8 sums and products", "quantize quantize binary_s8 table binary_s8 shift",
     "m (float[1,8,6,6] x, float[1,8,6,6] z) => (uint8[1,8,6,6] y) <" SCALES "> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) p = QuantizeLinear(z, sx, "
     "zx) e = DequantizeLinear(p, sx, zx) "
     "  a = Add(d, e) aq = QuantizeLinear(a, sx, zx) ad = DequantizeLinear(aq, sx, zx) h = "
     "Tanh(ad) hq = QuantizeLinear(h, sx, zx) hd = DequantizeLinear(hq, sx, zx) "
     "  m = Mul(hd, d) y = QuantizeLinear(m, sy, zy) }"},
    {"int8 normalization of what is joined", "transpose quantize unary conv conv_s8 concat shift",
     "m (float[1,5,6,6] x, float[1,7,6,6] z) => (uint8[1,17,6,6] y) <float[17] s = {@p17}, "
     "float[17] b = {@f17}, float[17] e = {@f17}, float[17] v = {@p17}, float sz = {0.02}, uint8 "
     "zz = {99}, " SCALES "> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) p = QuantizeLinear(z, sz, "
     "zz) f = DequantizeLinear(p, sz, zz) a = Abs(x) "
     "  k = Concat <axis=1> (f, d, a) n = BatchNormalization(k, s, b, e, v) r = Relu(n) y = "
     "QuantizeLinear(r, sy, zy) }"},
    {"int8 moves", "shift generic table shift",
     "m (uint8[2,6,20] x) => (uint8[3,4,10] y, uint8[3,4,10] z) <int64[3] d = {4,3,20}, " SCALES
     "> "
     "{ a = DequantizeLinear(x, sx, zx) b = Reshape(a, d) c = QuantizeLinear(b, sx, zx) e = "
     "DequantizeLinear(c, sx, zx) f = Transpose <perm=[1,0,2]> (e) "
     "  g = QuantizeLinear(f, sx, zx) h = DequantizeLinear(g, sx, zx) i, j = Split <axis=2> (h) y "
     "= QuantizeLinear(i, sx, zx) z = QuantizeLinear(j, sy, zy) }"},
    {"int8 channels last by hand", "transpose quantize conv_s8 concat shift",
     "m (float[1,8,6,6] x) => (uint8[1,6,6,8] y) <int8[8,8,1,1] w = {@i64}, float[8] s = {@p8}, "
     "int8[8] z = {@z8}, " SCALES "> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) v = DequantizeLinear "
     "<axis=0> (w, s, z) c = Conv(d, v) cq = QuantizeLinear(c, sy, zy) "
     "  e = DequantizeLinear(cq, sy, zy) t = Transpose <perm=[0,2,3,1]> (e) y = QuantizeLinear(t, "
     "sy, zy) }"},
    {"int8 joins and pools", "shift transpose quantize conv_s8 conv_s8 pool table concat transpose",
     "m (float[1,8,6,6] x) => (uint8[1,16,3,3] y) <int8[8,8,1,1] w = {@i64}, float[8] s = {@p8}, "
     "int8[8] z = {@z8}, float sj = {0.07}, " SCALES "> "
     "{ q = QuantizeLinear(x, sx, zx) d = DequantizeLinear(q, sx, zx) v = DequantizeLinear "
     "<axis=0> (w, s, z) c = Conv(d, v) cq = QuantizeLinear(c, sy, zy) "
     "  e = DequantizeLinear(cq, sy, zy) p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (e) pq = "
     "QuantizeLinear(p, sy, zy) pd = DequantizeLinear(pq, sy, zy) "
     "  f = Conv <strides=[2,2]> (d, v) fq = QuantizeLinear(f, sj, zy) fd = DequantizeLinear(fq, "
     "sj, zy) j = Concat <axis=1> (pd, fd) y = QuantizeLinear(j, sj, zy) }"},
};

/* ---- texts -------------------------------------------------------------------------------------
 */

static char *expand(const char *text) {
    size_t cap = strlen(text) + 64, n = 0;
    uint64_t seed = 12345;
    for (const char *c = text; *c; c++)
        if (*c == '@') cap += 12 * strtoul(c + 2, NULL, 10);
    char *out = malloc(cap);
    ck_assert_ptr_nonnull(out);
    while (*text) {
        if (*text != '@') {
            out[n++] = *text++;
            continue;
        }
        const char kind = text[1];
        char *end;
        unsigned long count = strtoul(text + 2, &end, 10);
        for (unsigned long i = 0; i < count; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int v = (int)(seed >> 33) % 128 * (seed >> 62 & 1 ? 1 : -1);
            const char *comma = i + 1 < count ? "," : "";
            if (kind == 'f')
                n += (size_t)snprintf(out + n, cap - n, "%.3f%s", v / 128.0, comma);
            else if (kind == 'p')
                n += (size_t)snprintf(out + n, cap - n, "%.4f%s", 0.01 + abs(v) / 12800.0, comma);
            else
                n += (size_t)snprintf(out + n, cap - n, "%d%s", kind == 'z' ? 0 : v, comma);
        }
        text = end;
    }
    out[n] = 0;
    return out;
}

/* Does the list have the word, both of words between spaces? */
static bool has_word(const char *list, const char *word, size_t len) {
    for (const char *at = list; (at = strstr(at, word)) != NULL; at++)
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0)) return true;
    return false;
}

/* Every kind in `kinds` is there, and none that is not. */
static void check_kinds(const oxr_program *program, const char *kinds, const char *name) {
    struct oxr_step_info info;
    for (size_t i = 0; oxr_step_info(&info, program, i); i++)
        ck_assert_msg(has_word(kinds, info.kernel, strlen(info.kernel)) ||
                          strcmp(info.op, "Identity") == 0,
                      "%s: %s is a step %s (%s)", name, info.op, info.kernel, info.why);
    for (const char *k = kinds; *k;) {
        const size_t len = strcspn(k, " ");
        bool found = false;
        for (size_t i = 0; oxr_step_info(&info, program, i) && !found; i++)
            found = strlen(info.kernel) == len && memcmp(info.kernel, k, len) == 0;
        ck_assert_msg(found, "%s: no step %.*s", name, (int)len, k);
        k += len + (k[len] == ' ');
    }
}

static double difference(const ox_tensor *a, const ox_tensor *b) {
    double worst = 0, most = 1e-30;
    ck_assert_int_eq(a->dtype, b->dtype);
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_int_eq(a->rank, b->rank);
    for (int i = 0; i < a->rank; i++)
        ck_assert_int_eq(a->dims[i], b->dims[i]);
    for (size_t i = 0; i < a->count; i++) {
        double x, y;
        if (a->dtype == OX_FLOAT) {
            x = (double)((const float *)a->data)[i];
            y = (double)((const float *)b->data)[i];
            if (fabs(x) > most) most = fabs(x);
        } else {
            x = a->dtype == OX_INT8 ? ((const int8_t *)a->data)[i] : ((const uint8_t *)a->data)[i];
            y = a->dtype == OX_INT8 ? ((const int8_t *)b->data)[i] : ((const uint8_t *)b->data)[i];
            most = 1;
        }
        if (!(fabs(x - y) <= worst)) worst = fabs(x - y);
    }
    return worst / most;
}

static void run_native(ox_tensor *const *want, ox_ctx *ctx, const oxr_program *program,
                       ox_tensor *const *in, const char *name, int threads) {
    struct oxr_session_options o = {.size = sizeof o, .threads = threads};
    oxr_session *session;
    ck_assert_int_eq(oxr_session_new(&session, ctx, program, &o), OX_OK);
    for (size_t i = 0; i < oxr_inputs(program); i++)
        ck_assert_int_eq(oxr_bind(session, i, in[i]), OX_OK);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(oxr_run(session), OX_OK);
        for (size_t i = 0; i < oxr_outputs(program); i++) {
            const ox_tensor *got = oxr_result(session, i);
            ck_assert_ptr_nonnull(got);
            double off = difference(want[i], got);
            ck_assert_msg(off <= (got->dtype == OX_FLOAT ? 1e-5 : 1),
                          "%s: off by %g with %d threads", name, off, threads);
        }
    }
    oxr_session_free(session);
}

START_TEST(steps_compute_what_the_reference_does) {
    struct ox_ctx_options o = {.size = sizeof o, .threads = 1};
    ox_ctx *ctx;
    ox_tensor *in[4] = {0}, *out[4] = {0};
    unsigned char *data;
    size_t size;
    oxr_program *program;
    ox_session *reference;
    char *text = expand(cases[_i].text), *whole;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    size_t length = strlen(text) + sizeof HEAD;
    whole = malloc(length);
    ck_assert_ptr_nonnull(whole);
    snprintf(whole, length, "%s%s", HEAD, text);
    struct ox_model *m = blob_model(ctx, whole);
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    for (size_t i = 0; i < ox_model_inputs(m); i++) {
        struct ox_port port;
        ck_assert_int_eq(ox_model_input(&port, m, i), OX_OK);
        in[i] = blob_input(ctx, &port, 7 + i);
        ck_assert_ptr_nonnull(in[i]);
    }
    ck_assert_int_eq(ox_session_new(&reference, m), OX_OK);
    ck_assert_int_eq(ox_session_run(reference, (const ox_tensor *const *)in, out), OX_OK);
    ox_session_free(reference);
    blob_build(&data, &size, m);
    ck_assert_int_eq(oxr_program_open_memory(&program, ctx, data, size, NULL), OX_OK);
    check_kinds(program, cases[_i].kinds, cases[_i].name);
    for (int threads = 1; threads <= 2; threads++)
        run_native(out, ctx, program, in, cases[_i].name, threads);
    oxr_program_free(program);
    ox_native_free(ctx, data);
    for (size_t i = 0; i < 4; i++) {
        ox_tensor_unref(in[i]);
        ox_tensor_unref(out[i]);
    }
    ox_model_free(m);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
    free(text);
    free(whole);
}
END_TEST

/* What a program computes for `in`; the caller unrefs. */
static ox_tensor *computed(ox_ctx *ctx, struct ox_model *m, ox_tensor *in, bool exact) {
    void *data;
    size_t size;
    oxr_program *program;
    oxr_session *session;
    ck_assert_int_eq(
        ox_native_build_with(&data, &size, m,
                             &(struct ox_native_options){.size = sizeof(struct ox_native_options),
                                                         .exact_conv = exact}),
        OX_OK);
    ck_assert_int_eq(oxr_program_open_memory(&program, ctx, data, size, NULL), OX_OK);
    ck_assert_int_eq(oxr_session_new(&session, ctx, program, NULL), OX_OK);
    ck_assert_int_eq(oxr_bind(session, 0, in), OX_OK);
    ck_assert_int_eq(oxr_run(session), OX_OK);
    const ox_tensor *y = oxr_result(session, 0);
    ox_tensor *copy;
    void *to;
    ck_assert_int_eq(ox_tensor_new(&copy, &to, ctx, y->dtype, y->rank, y->dims), OX_OK);
    memcpy(to, y->data, y->size);
    oxr_session_free(session);
    oxr_program_free(program);
    ox_native_free(ctx, data);
    return copy;
}

/* Numbers whose products and sums are exact in float tell a direct sum from Winograd's method,
 * which is near. */
START_TEST(exact_convolutions_are_direct_sums) {
    const int64_t dims[] = {1, 16, 20, 20};
    ox_ctx *ctx;
    ox_tensor *in, *want = NULL;
    float *x;
    ox_session *reference;
    char *text = expand(HEAD "m (float[1,16,20,20] x) => (float[1,32,20,20] y) <float[32,16,3,3] w "
                             "= {@i4608}> { y = Conv <pads=[1,1,1,1]> (x, w) }");
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    struct ox_model *m = blob_model(ctx, text);
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    ck_assert_int_eq(ox_tensor_new(&in, (void **)&x, ctx, OX_FLOAT, 4, dims), OX_OK);
    for (size_t i = 0; i < in->count; i++)
        x[i] = (float)(i * 7919 % 255) - 127;
    ck_assert_int_eq(ox_session_new(&reference, m), OX_OK);
    ck_assert_int_eq(ox_session_run(reference, (const ox_tensor *const *)&in, &want), OX_OK);
    ox_session_free(reference);
    ox_tensor *direct = computed(ctx, m, in, true), *fast = computed(ctx, m, in, false);
    ck_assert_double_eq(difference(want, direct), 0);
    ck_assert_double_gt(difference(want, fast), 0);
    ck_assert_double_le(difference(want, fast), 2e-6);
    ox_tensor_unref(in);
    ox_tensor_unref(want);
    ox_tensor_unref(direct);
    ox_tensor_unref(fast);
    ox_model_free(m);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
    free(text);
}
END_TEST

/* Rows are found by bisection, which takes them to be sorted. */
START_TEST(every_row_is_found) {
    static const char ONNX[] = "", MS[] = "com.microsoft";
#define LOWER(domain, op, function) ck_assert_msg(ox_native_lowers(domain, #op), "%s", #op);
#include "backend/native/lower.def"
#undef LOWER
    ck_assert(!ox_native_lowers(MS, "Conv") && !ox_native_lowers(ONNX, "Loop") &&
              !ox_native_lowers(ONNX, "") && !ox_native_lowers("a", "Conv"));
}
END_TEST

int main(void) {
    Suite *s = suite_create("native_steps");
    TCase *c = tcase_create("cases");
    tcase_add_loop_test(c, steps_compute_what_the_reference_does, 0,
                        (int)(sizeof cases / sizeof *cases));
    tcase_add_test(c, exact_convolutions_are_direct_sums);
    tcase_add_test(c, every_row_is_found);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

"""Labelled top-1 tasks of a model folder ($ONNXOPT_MODELS): for each scored model, how a sample is fed and what its label is.

TASKS maps a model's name to (task, loader); loader(data folder) returns (labels, feed), feed(i) being the array for the
model's first input. Images in the folder are NHWC bytes, already cropped to size.
"""
import csv
import os

import numpy as np

IMAGENET_MEAN, IMAGENET_STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
CIFAR_MEAN, CIFAR_STD = np.float32([0.4914, 0.4822, 0.4465]), np.float32([0.2023, 0.1994, 0.2010])

# Byte image (float32, HWC, RGB) -> what the network was trained on.
PREPROCESS = {
    "raw": lambda x: x,
    "unit": lambda x: x / 255,
    "signed": lambda x: x / 127.5 - 1,
    "imagenet": lambda x: (x / 255 - IMAGENET_MEAN) / IMAGENET_STD,
    "cifar": lambda x: (x / 255 - CIFAR_MEAN) / CIFAR_STD,
    "caffe": lambda x: x[..., ::-1] - np.float32([104, 117, 123]),
}


def read_tsv(path):
    with open(path, encoding="utf8") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def images(folder, pixels, labels, how, dtype=np.float32, limit=None):
    def load(data):
        x = np.load(os.path.join(data, folder, pixels), mmap_mode="r")
        path = os.path.join(data, folder, labels)
        y = np.load(path) if labels.endswith(".npy") else np.array([int(r["class"]) for r in read_tsv(path)])

        def feed(i):
            a = np.asarray(x[i], np.float32)
            a = a[..., None] if a.ndim == 2 else a
            return np.ascontiguousarray(PREPROCESS[how](a).transpose(2, 0, 1)[None], dtype)

        return y[:limit], feed

    return load


def imagenet(how, dtype=np.float32):
    return images("imagenet", "images_crop224_u8.npy", "labels.tsv", how, dtype)


def cifar(how):
    return images("cifar10", "images_u8.npy", "labels_u8.npy", how, limit=2000)


def keywords(data):
    """MFCC features stored as the int8 tensor of the original model; scale and zero point undo that."""
    x = np.load(os.path.join(data, "kws", "mfcc_i8.npy"))
    y = np.load(os.path.join(data, "kws", "labels_u8.npy"))
    return y, lambda i: ((x[i].astype(np.float32) - 83) * np.float32(0.5847029)).reshape(1, 1, 49, 10)


def file_types(data):
    names = open(os.path.join(data, "magika", "labels_space_standard_v3_3.txt")).read().split()
    x = np.load(os.path.join(data, "magika", "features_standard_v3_3_u16.npy"))
    rows = read_tsv(os.path.join(data, "magika", "labels.tsv"))
    known = [k for k, r in enumerate(rows) if r["label"] in names]
    return np.array([names.index(rows[k]["label"]) for k in known]), lambda i: x[known[i]][None].astype(np.int32)


def gestures(data):
    a = np.loadtxt(os.path.join(data, "gesture", "keypoint.csv"), delimiter=",", dtype=np.float32)
    return a[:, 0].astype(int), lambda i: a[i : i + 1, 1:43]


def text_direction(data):
    """Crops of text lines, every second one turned upside down; the label is whether it is."""
    from PIL import Image

    x = np.load(os.path.join(data, "ocr", "crops32x320_rgb_u8.npy"))
    width = [int(r["valid_width"]) for r in read_tsv(os.path.join(data, "ocr", "texts.tsv"))]

    def feed(i):
        w = min(192, int(np.ceil(48 * width[i] / 32)))
        a = np.asarray(Image.fromarray(x[i][:, : width[i]]).resize((w, 48), Image.BILINEAR))
        a = a[::-1, ::-1] if i % 2 else a
        out = np.zeros((48, 192, 3), np.float32)
        out[:, :w] = (a[..., ::-1].astype(np.float32) / 255 - 0.5) / 0.5
        return np.ascontiguousarray(out.transpose(2, 0, 1)[None])

    return np.arange(len(x)) % 2, feed


TASKS = {
    "imgnet_squeezenet11_fp16": ("imagenet", imagenet("caffe", np.float16)),
    "imgnet_squeezenet11_f32": ("imagenet", imagenet("caffe")),
    "imgnet_mobilenetv1_025": ("imagenet", imagenet("signed")),
    "imgnet_mobilenetv2_qdq": ("imagenet", imagenet("imagenet")),
    "imgnet_mobilenetv2_f32": ("imagenet", imagenet("imagenet")),
    "cifar_resnet2b": ("cifar10", cifar("cifar")),
    "cifar_resnet4b": ("cifar10", cifar("cifar")),
    "cifar_vit_ibp": ("cifar10", cifar("cifar")),
    "cifar_vit_pgd": ("cifar10", cifar("cifar")),
    "cifar_resnet8_mlperf": ("cifar10", cifar("raw")),
    "mnist_cntk_12": ("mnist", images("mnist", "images_u8.npy", "labels_u8.npy", "raw", limit=2000)),
    "kws_dscnn_mlperf": ("kws", keywords),
    "seg7_mobilenetv2": ("seg7", images("seg7", "images96_rgb_u8.npy", "labels_u8.npy", "unit")),
    "magika_v3_3": ("magika", file_types),
    "gesture_keypoint": ("gesture", gestures),
    "ocr_cls": ("ocr_cls", text_direction),
}


def predict(outputs):
    """Class of one sample: the output itself where the model gives a class id, else the first largest score."""
    o = np.asarray(outputs[0], np.float64).ravel()
    return int(o[0]) if o.size == 1 else int(np.argmax(o))

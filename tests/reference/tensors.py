"""The safetensors layout, read and written by hand, so that the suite's files are checked from outside too.

A file is the length of its header (u64, little-endian), the header (JSON: name to dtype, shape, place), and the data.
"""

import json

import numpy

DTYPES = {"F32": numpy.dtype("<f4"), "U16": numpy.dtype("<u2")}


def read(path):
    """The tensors of a file, and its metadata."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        values = numpy.frombuffer(data[start + begin : start + end], DTYPES[tensor["dtype"]])
        tensors[name] = values.reshape(tensor["shape"])
    return tensors, metadata


def write(path, tensors, metadata=None):
    """Writes arrays of f32 and u16; `metadata` maps strings to strings."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, values in tensors.items():
        end = len(data) + values.nbytes
        header[name] = {"dtype": names[values.dtype], "shape": values.shape, "data_offsets": [len(data), end]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)

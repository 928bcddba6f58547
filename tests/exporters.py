"""Files of modules by PyTorch's two exporters."""

import io
import warnings

import torch


def exported(module, inputs, dynamo):
    """The bytes of the file that today's exporter writes, or the older one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(module, inputs, dynamo=True, verbose=False)
            return program.model_proto.SerializeToString()
        file = io.BytesIO()
        torch.onnx.export(module, inputs, file, dynamo=False)
        return file.getvalue()

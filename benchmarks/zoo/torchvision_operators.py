"""torchvision beside the CPU build of torch: the wheel's compiled operators are for CUDA and do not load.

``declare`` states the schemas that torchvision registers at import, and the shapes of their results. No network of the
zoo runs one with values. Import torchvision after it.
"""

from typing import Any

import torch

POOLED = "SymInt pooled_height, SymInt pooled_width"
FRAME = "SymInt batch_size, SymInt channels, SymInt height, SymInt width"
DEFORM = (
    "SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, "
    "SymInt groups, SymInt offset_groups, bool use_mask"
)
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
    f"roi_align(Tensor input, Tensor rois, float spatial_scale, {POOLED}, int sampling_ratio, bool aligned) -> Tensor",
    f"roi_pool(Tensor input, Tensor rois, float spatial_scale, {POOLED}) -> (Tensor, Tensor)",
    f"ps_roi_align(Tensor input, Tensor rois, float spatial_scale, {POOLED}, int sampling_ratio) -> (Tensor, Tensor)",
    f"ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, {POOLED}) -> (Tensor, Tensor)",
    f"deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, {DEFORM}) -> Tensor",
    f"_roi_align_backward(Tensor grad, Tensor rois, float spatial_scale, {POOLED}, {FRAME}, int sampling_ratio, "
    "bool aligned) -> Tensor",
    f"_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, float spatial_scale, {POOLED}, {FRAME}) -> Tensor",
    f"_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, {POOLED}, "
    f"int sampling_ratio, {FRAME}) -> Tensor",
    f"_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, {POOLED}, {FRAME}) "
    "-> Tensor",
    f"_deform_conv2d_backward(Tensor grad, Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
    f"{DEFORM}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
LIBRARY = torch.library.Library("torchvision", "DEF")  # lives as long as the process


def declare() -> None:
    """Declare the operators, unless the wheel's own did load."""
    for schema in SCHEMAS:
        if not hasattr(torch.ops.torchvision, schema.split("(")[0]):
            LIBRARY.define(schema)
    LIBRARY.impl("roi_align", _roi_align, "Meta")
    LIBRARY.impl("roi_pool", lambda *given: (_roi_align(*given),) * 2, "Meta")
    LIBRARY.impl("deform_conv2d", _deform_conv2d, "Meta")


def _roi_align(image: torch.Tensor, rois: torch.Tensor, scale: float, height: int, width: int, *_: Any) -> torch.Tensor:
    return image.new_empty(rois.shape[0], image.shape[1], height, width)


def _deform_conv2d(image: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, *_: Any) -> torch.Tensor:
    return image.new_empty(image.shape[0], weight.shape[0], *offset.shape[-2:])

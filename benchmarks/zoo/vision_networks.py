"""Networks for images: classifiers of every decade, vision transformers, detectors, segmenters."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import timm
import torch
import torchvision
import transformers as hf

from zoo.network import Call, Made, Network, image

TORCHVISION = {
    "classifiers to 2016": (
        "alexnet vgg11 vgg16_bn googlenet inception_v3:299 resnet18 resnet50 densenet121 squeezenet1_1"
    ),
    "classifiers to 2020": (
        "resnext50_32x4d mobilenet_v2 mobilenet_v3_small mobilenet_v3_large shufflenet_v2_x1_0 mnasnet1_0 "
        "efficientnet_b0 regnet_x_400mf regnet_y_400mf"
    ),
    "classifiers since 2021": "efficientnet_v2_s convnext_tiny",
    "vision transformers": "vit_b_32 swin_t swin_v2_t:256 maxvit_t",
}
TIMM = {
    "classifiers to 2016": "inception_v4:299 dpn68 xception41:299",
    "classifiers to 2020": (
        "mobilenetv1_100 seresnet18 skresnet18 res2net50_26w_4s resnest14d hrnet_w18_small cspresnet50 cspdarknet53 "
        "dla34 selecsls42b ese_vovnet19b_dw ghostnet_100 hardcorenas_a fbnetc_100 spnasnet_100 tinynet_e mixnet_s "
        "efficientnet_lite0 rexnet_100 gernet_s legacy_seresnet18 resnetv2_50"
    ),
    "classifiers since 2021": (
        "nf_resnet50 eca_nfnet_l0 repvgg_a0 lcnet_050 mobileone_s0 mobilenetv4_conv_small convnextv2_atto "
        "inception_next_atto starnet_s1 ghostnetv2_100 regnetz_b16 convmixer_768_32 hgnetv2_b0 repvit_m0_9 "
        "fasternet_t0 mambaout_femto rdnet_tiny"
    ),
    "vision transformers": (
        "deit_tiny_patch16_224 cait_xxs24_224 beit_base_patch16_224 eva02_tiny_patch14_224 coatnet_nano_rw_224 "
        "levit_128s poolformer_s12 mixer_s32_224 gmlp_ti16_224 resmlp_12_224 focalnet_tiny_srf "
        "swin_tiny_patch4_window7_224 swinv2_tiny_window8_256:256 maxvit_rmlp_pico_rw_256:256 xcit_nano_12_p16_224 "
        "pit_ti_224 pvt_v2_b0 twins_svt_small convit_tiny crossvit_tiny_240:240 visformer_tiny nest_tiny davit_tiny "
        "mvitv2_tiny gcvit_xxtiny edgenext_xx_small:256 fastvit_t8:256 mobilevit_xxs:256 efficientformer_l1 "
        "efficientvit_b0 efficientvit_m0 tiny_vit_5m_224 hiera_tiny_224 sequencer2d_s volo_d1_224 halonet26t:256 "
        "botnet26t_256:256 lambda_resnet26t:256 mobilenetv4_hybrid_medium vit_small_patch16_dinov3:256"
    ),
}
STATIC = (
    *("resnet18", "mobilenet_v2", "squeezenet1_1", "densenet121", "efficientnet_b0", "convnext_tiny"),
    *("mobilenetv1_100", "repvgg_a0"),
)


def networks() -> Iterator[Network]:
    for library, groups, make in (("torchvision", TORCHVISION, _torchvision), ("timm", TIMM, _timm)):
        for group, names in groups.items():
            for entry in names.split():
                name, _, size = entry.partition(":")
                static = "static" if name in STATIC else ""
                yield Network(f"{library}/{name}", group, partial(make, name, int(size or 224)), static)
    for name, make in DETECTORS.items():
        yield Network(name, "detectors", make)
    for name, make in SEGMENTERS.items():
        yield Network(name, "segmenters", make, "static" if "lraspp" in name else "")


def _torchvision(name: str, size: int) -> Made:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, **options), (image(size),)


def _timm(name: str, size: int) -> Made:
    return timm.create_model(name, pretrained=False), (image(size),)


class Heads(torch.nn.Module):
    """The backbone, pyramid and heads of a torchvision detector: what runs before boxes are chosen by their values."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.head(list(self.backbone(images).values()))
        return tuple(found.values())


class Proposals(torch.nn.Module):
    """The backbone, pyramid and proposal head of a torchvision detector of two stages."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.rpn.head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        scores, boxes = self.head(list(self.backbone(images).values()))
        return (*scores, *boxes)


def _detector(name: str, size: int, part: Callable[[Any], torch.nn.Module] = Heads) -> Made:
    return part(torchvision.models.get_model(name, weights=None, weights_backbone=None)), (image(size),)


def _segmenter(name: str) -> Made:
    module = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    return Call(module, ["input"] if name.startswith("lraspp") else ["x"], ["out"]), (image(224),)


def _transformers(config: Any, kind: str, size: int, *results: str) -> Made:
    return Call(getattr(hf, kind)(config), ["pixel_values"], results), (image(size),)


def _detr(config: str, kind: str) -> Made:
    resnet = hf.ResNetConfig(depths=[1, 1, 1, 1], out_features=["stage4"])
    layers = {"encoder_layers": 2, "decoder_layers": 2, "num_queries": 50, "backbone_config": resnet}
    return _transformers(
        getattr(hf, config)(use_timm_backbone=False, backbone=None, **layers), kind, 256, "logits", "pred_boxes"
    )


def _yolos() -> Made:
    config = hf.YolosConfig(
        hidden_size=192, num_hidden_layers=4, num_attention_heads=3, intermediate_size=768, image_size=[256, 256]
    )
    return _transformers(config, "YolosForObjectDetection", 256, "logits", "pred_boxes")


def _mask_former() -> Made:
    swin = hf.SwinConfig(
        embed_dim=48, depths=[1, 1, 1, 1], image_size=224, out_features=[f"stage{k}" for k in range(1, 5)]
    )
    detr = hf.DetrConfig(encoder_layers=1, decoder_layers=2, num_queries=50)
    config = hf.MaskFormerConfig(backbone_config=swin, decoder_config=detr)
    found = ("class_queries_logits", "masks_queries_logits")
    return _transformers(config, "MaskFormerForInstanceSegmentation", 224, *found)


DETECTORS: dict[str, Callable[[], Made]] = {
    "torchvision/retinanet_resnet50_fpn": partial(_detector, "retinanet_resnet50_fpn", 256),
    "torchvision/ssd300_vgg16": partial(_detector, "ssd300_vgg16", 300),
    "torchvision/ssdlite320_mobilenet_v3_large": partial(_detector, "ssdlite320_mobilenet_v3_large", 320),
    "torchvision/fcos_resnet50_fpn": partial(_detector, "fcos_resnet50_fpn", 256),
    "torchvision/fasterrcnn_mobilenet_v3_large_fpn": partial(
        _detector, "fasterrcnn_mobilenet_v3_large_fpn", 256, Proposals
    ),
    "transformers/detr": partial(_detr, "DetrConfig", "DetrForObjectDetection"),
    "transformers/conditional_detr": partial(_detr, "ConditionalDetrConfig", "ConditionalDetrForObjectDetection"),
    "transformers/yolos": _yolos,
}
SEGMENTERS: dict[str, Callable[[], Made]] = {
    "torchvision/fcn_resnet50": partial(_segmenter, "fcn_resnet50"),
    "torchvision/deeplabv3_mobilenet_v3_large": partial(_segmenter, "deeplabv3_mobilenet_v3_large"),
    "torchvision/lraspp_mobilenet_v3_large": partial(_segmenter, "lraspp_mobilenet_v3_large"),
    "transformers/segformer": lambda: _transformers(
        hf.SegformerConfig(), "SegformerForSemanticSegmentation", 224, "logits"
    ),
    "transformers/mask_former": _mask_former,
    "transformers/upernet_convnext": lambda: _transformers(
        hf.UperNetConfig(
            backbone_config=hf.ConvNextConfig(
                hidden_sizes=[32, 64, 128, 256], depths=[1, 1, 1, 1], out_features=[f"stage{k}" for k in range(1, 5)]
            ),
            hidden_size=128,
        ),
        "UperNetForSemanticSegmentation",
        224,
        "logits",
    ),
}

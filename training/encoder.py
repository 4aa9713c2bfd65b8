"""The backbone: ResNet18 (He et al. 2015) for one grey channel, without its last layer."""

import torchvision
from torch import Tensor, nn

EMBEDDING = 512


class Backbone(nn.Module):
    """(N, 1, S, S) in [0, 1] -> feature map (N, 512, S/32, S/32), rounded up; its spatial mean is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        resnet = torchvision.models.resnet18(weights=None)
        resnet.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool)
        self.layers = nn.Sequential(resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4)

    def forward(self, image: Tensor) -> Tensor:
        # The zero-centred input spares the first batch norm a shift that differs between dark and bright images.
        features: Tensor = self.layers(self.stem((image - 0.5) * 4.0))
        return features


def pooled(features: Tensor) -> Tensor:
    """Global average pooling: (N, 512, h, w) -> (N, 512), in float32."""
    return features.float().mean(dim=(2, 3))

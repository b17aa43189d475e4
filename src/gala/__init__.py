"""Turn an over-segmented image into a segmentation you can trust."""

__version__ = "0.1.0.dev0"

"""From images to segmentations: estimators that hold every step."""

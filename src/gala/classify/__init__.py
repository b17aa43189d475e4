"""Classifiers of merges and of voxels, networks; what they learn from, laying flat, files without pickle."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "calibration": ["brier_score", "expected_calibration_error", "recalibrate", "reliability"],
        "estimators": ["DefaultRandomForest", "get_classifier"],
        "files": ["load_classifier", "save_classifier"],
        "flat": ["lay_flat"],
        "onnx": ["OnnxModel"],
        "pixels": ["PixelClassifier"],
        "training": [
            "concatenate_data_elements",
            "load_training_data_from_disk",
            "sample_training_data",
            "save_training_data_to_disk",
            "unique_learning_data_elements",
        ],
    },
)

"""
Thick sections: a stack whose voxels are not cubes
==================================================

Sections of 30 nm and pixels of 10 nm: boundaries within a section are sharp, those between sections are not. The voxel
size comes from the file, and goes through every step.
"""

# %%
# Two volumes of which every third plane is kept, written as OME-Zarr with the size of a voxel.

from matplotlib import pyplot as plt

from gala import Segmenter, datasets, evaluate, imio, viz

spacing = (30, 10, 10)
for part, volume in datasets.synthetic_pair((48, 64, 64), seed=1).items():
    for name in ("image", "p1", "truth"):
        imio.write(f"{part}-{name}.ome.zarr", getattr(volume, name)[1::3], spacing=spacing, unit="nm")

# %%
# From here on, only files. `open` reads nothing but what describes the volume; `read` reads it all.

with imio.open("train-p1.ome.zarr") as volume:
    print(volume)
    spacing = volume.spacing
boundary_map, truth = imio.read("train-p1.ome.zarr"), imio.read("train-truth.ome.zarr")
test_map, test_truth = imio.read("test-p1.ome.zarr"), imio.read("test-truth.ome.zarr")

# %%
# A slice along a section, and one across: what looks like a circle in one is a stack of steps in the other.

figure, panels = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
image = imio.read("test-image.ome.zarr")
panels[0].imshow(image[8], cmap="gray", aspect=spacing[1] / spacing[2])
panels[1].imshow(image[:, 32], cmap="gray", aspect=spacing[0] / spacing[2])
for panel, title in zip(panels, ("a section", "across sections"), strict=True):
    panel.set(title=title, xticks=[], yticks=[])
figure.savefig("anisotropic-data.png")

# %%
# Superpixels are cut in each section on its own (`planes="apart"`), because between sections objects move too far to
# trust a watershed. With `unit="physical"`, lengths are in nm and sizes, here areas in a section,
# in nm²: a blur of 7 nm, and no superpixel below 2,000 nm², which is 20 pixels. Other voxels, same options.

options = {"planes": "apart", "unit": "physical", "sigma": 7, "min_size": 2_000}

# %%
# Merges must now go both within sections and between them. `basic` features take one mean and one histogram over a
# contact. `modern` ones, which are among the default ones, know the mean along each axis by itself, and so tell the two
# kinds of contact apart.

segmentations = {}
for features in ("basic", "modern"):
    segmenter = Segmenter(features=features, spacing=spacing, superpixel_options=options)
    segmenter.fit(boundary_map, truth)
    superpixels = segmenter.make_superpixels(test_map)
    segmentations[features] = segmenter.predict(test_map, superpixels)
vi_of = {"superpixels": evaluate.vi(superpixels, test_truth)}
vi_of |= {name: evaluate.vi(segmentation, test_truth) for name, segmentation in segmentations.items()}
for name, vi in vi_of.items():
    print(f"{name}: VI {vi:.2f}")

# %%
# Superpixels of single sections have a VI of 4.68 bits; `basic` features leave 1.21, and `modern` ones 0.89. One pair
# of small volumes is no proof; docs/features/modern.md has a table of several.

viz.save_figure(
    viz.draw_segmentations({"superpixels": superpixels, **segmentations}, test_truth, {"boundary map": test_map}),
    "anisotropic.png",
)

# %%
# Across sections, in the shape that the sample has:

viz.save_figure(viz.overlay(image, segmentations["modern"], axis=1, spacing=spacing), "anisotropic-across.png")

# %%
# How far may an outline be off? Here 20 nm, in nm because `spacing` is: two pixels in a section, and less than one
# section.

outlines = evaluate.boundary_scores(segmentations["modern"], test_truth, 20, spacing=spacing)
print(f"outlines within 20 nm: precision {outlines.precision:.2f}, recall {outlines.recall:.2f}")

# %%
# Write the result, with its voxel size and how it was made. Every viewer of OME-Zarr shows it in its true shape.

imio.write(
    "test-cells.ome.zarr",
    segmentations["modern"],
    spacing=spacing,
    unit="nm",
    provenance=imio.provenance({"features": "modern", **options}, ["test-p1.ome.zarr"]),
)
with imio.open("test-cells.ome.zarr") as volume:
    print(volume.spacing, volume.unit, volume.attributes["provenance"]["parameters"])
    kept_spacing = volume.spacing

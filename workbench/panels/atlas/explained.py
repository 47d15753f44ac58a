"""What the panel says about reading its planes."""

from __future__ import annotations

READING = """
Each point is one **visual token**: the state of one patch of one image at one stage. Move over it (or tap
it) to see the patch. Points can be coloured by what is known of them; that, and the layout, ask the model
nothing.

**PCA** is there at once. It is a shadow of the states: what is far apart here is far apart there, what lies
together may still differ along axes that are not shown. The axes say their share of the variance.
**UMAP**, **t-SNE** and **PaCMAP** (where it is installed) start from the first 50 principal components and
keep who is next to whom. They do *not* show: distances between clusters, sizes of clusters, density. Another
seed or another number of neighbours gives another picture; do not read a gap as a finding before it is there
in several, and before a measure of the states themselves (the panel Layers) says the same.

**A plane for each stage** asks how patches relate at that stage, whatever its width. **One plane for all**
asks how stages lie to each other; it wants states of one width, and the growth of their norm from layer to
layer then takes most of the room. Scaling tokens to length 1 takes norms out, those of a few very long
tokens too.

The tokens are a seeded sample: the same patches at each stage of one grid, clean and damaged. Several pinned
results are each laid out by themselves and stand under each other: their colours compare, their places do
not. To compare places of clean and damaged tokens, choose *both* and they share a plane.

A patch has a **class** where the images come with masks, as drawn scenes do, and one class covers most of it;
others are grey. **Image label** is what is known of the image as a whole: the folder it lies in, a column of
a table, the shape of a scene's nearest object. **Object** tells the objects of one drawn scene apart.
"""

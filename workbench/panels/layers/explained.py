"""What the panel says about reading its curves."""

from __future__ import annotations

READING = """
One axis runs from the first **vision** block over the **projector** to the last **language** layer. *llm 0*
is what enters the language model; the dashed line across is its value, and what stands at the end of a curve
is the drop from there to the last layer. Shaded: 95 % interval. Grey: the same measure with labels or places
permuted.

**Between results** holds pinned results against the present one, stage by stage: two checkpoints, or one
model with the image clean, damaged and restored. They need the same images; the map beneath is of every two
stages. Where both cut all of these images into equal grids the rows are single tokens, else each image's mean
token.

For **the image on the bench** the curves tell how the patches relate to one another; one picture has no
interval. Where a picture's objects are known (drawn scenes), cohesion and coupling compare within and
across them. The panel *Patches* shows one patch's similarity to all others.

For **the bundled scenes**, or **your own data**, readers are fitted at every stage to images in the bench's
condition and scored on images they have not seen: what a linear reader cannot read is not there linearly.
Folders name classes (FOLDER/CLASS/IMAGE); masks stand beside images in COCO-Stuff's or ADE20K's layout. An
image that cannot be read is skipped, counted and named. What masks count as classes, things and stuff or all
there is, is said beneath the curves. Work that was ended, even by a kill, goes on where it was when the same
look is asked for again.

What goes in is the image **without a question**. Of the embedded model and other BAGEL folders the vision
tokens stand alone: no system prompt and no latent of the image before them, as both do when the model draws.
These are the states behind the answers *without drawing, from vision tokens alone* in the panel States. Other
models get the image in the words of their own chat template.

Each stage is measured on **its own patches**; what a point of a curve says counts them. A tower may cut finer
ones than the language model reads.

What the embedded model was told: its vision tower learned from the words of captions of windows that hold one
object, and from masked pixels; no map (class of a patch, instance, depth) was ever its target. Shape and
colour words stand in captions, so the curves over the whole image show how well words known to the tower
survive; the patch curves show what it was never told.
"""

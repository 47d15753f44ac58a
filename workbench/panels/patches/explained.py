"""What the panel says about reading its maps."""

from __future__ import annotations

READING = """
Click a patch, or give its row and column, and scrub the stages: *vision* blocks, *projector*, *language*
layers. *llm 0* is what enters the language model. What goes in is the image as the bench says, **with the
bench's question**, since the answer and what it attends to hang on it. Patches are the cells that the
language model reads; of a tower that cuts finer ones a cell shows the mean.

**Similarity** is the cosine between the states of two patches. In a layer that has lost what is where, it
spreads over other objects.

**The lens** (logit lens) puts a patch's state through the model's own last norm and head and lists the
tokens it finds likeliest; ␣ is a space. *Entropy* is low where it is sure. *p(word)* adds the tokens with
which the word begins, at the start of a text and after a space; the first word is the one that the model's
answer begins with. *Patches that read as words*: the share of all patches whose likeliest token is two
letters or more and nothing else, our count of what PRe (arXiv 2603.20808) describes; the column *read as
words*.

**Attention received** is the share of its attention that a query gives to the patch, in the layer that
writes the stage; below it, how many times the average patch's it is. *The answer* is the mean over the
queries that say its tokens, the last of the prompt among them. Attention says where a layer looks, not what
it takes from there.

**Norm** is the Euclidean length of the state. Crossed out are outliers ("sinks", "registers"): longer than
the median by six median absolute deviations, and than twice the median. The rule is ours.

**Colours** of entropy and probability mean the same at every stage. Those of similarity end at the 2nd and
98th percentile of the cosines of every two patches at the stage, since in a dark scene all of them are high;
those of attention and norm go up to the stage's largest. What the ends are stands at the scale. The figure
for paper has one scale for all its maps, but for norms, which grow by orders of magnitude. **Pinned** results
stand beside the present one: the same place, stage and colours.
"""
NO_LENS = "The run that this was made from kept no lens. Capture again with this version to have its words."
NO_ATTENTION = "This model's attention, or an answer whose attention it could be, is not to be had here."

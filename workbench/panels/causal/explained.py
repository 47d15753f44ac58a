"""How to read the panel, in Markdown."""

READING = """
Two runs of one question are held against each other: one on the clean image, one on the degraded. Both are
told by the **log-probability of the clean answer**, teacher-forced; where the degraded image is answered
otherwise, also by how much likelier the clean answer is than that one (*difference*).

**Patching** (causal tracing; Meng et al., 2022). The states of the visual tokens at one stage are taken from
one run and put into the other, which then goes on. *Restoring* puts clean tokens into the degraded run: 0
changes nothing, 1 undoes all of the damage. *Damaging* puts degraded tokens into the clean run: 1 does all of
the damage. At **llm 0** both are 1 where only the visual tokens differ, as everything that comes after reads
them; a model that adds features of its tower between layers (Qwen3-VL) still gets those of its own run. Where
restoring falls, the damage has left the image: words that stand after it have read the damaged
tokens already. Where damaging falls, the answer has what it needs of them. What lies between is read between
those layers. Values below 0 or above 1 are possible: a mixture of two runs is neither.

*The thing that the question names* are the tokens that its mask covers (the smallest share is a setting),
where the picture has masks and exactly one class is named; *as many others* are drawn from the rest. Before
the language model these alone are exchanged: all tokens of a tower are all that is known of the image, and
exchanging them is always 1.

**Over a collection** a share is the mean effect by the mean total effect, with 95 % intervals over images,
all stages drawn in pairs; where the damage's own interval holds 0 there is no share (ours: a mean of
quotients is noise where the damage is small). *Up to llm k*: where the curve over all visual tokens falls
below a half.

**Attention knockout** (Geva et al., 2023; for images, Neo et al., 2024). In a window of layers around each,
some tokens may not attend to others: the answer to the image, the question to the image, the answer to the
question, or the answer to the model's own drawing. Drawn is by how much that changes the probability of the
answer, and as a dotted line the same with all layers blocked. What is blocked directly may come by another
way, so a window that changes nothing need not be one in which nothing is read. *Question* is all that stands
between image and answer, a template's words too; *answer* are the places that say its tokens. How wide a
window is without a choice is ours.

**The map** exchanges one patch after the other (and its neighbours, if asked for) at one stage. Colours are
centred on nothing: orange undoes (or does) damage, blue the opposite.

**The drawing.** Of a model that draws on its way to an answer the same can be asked of its drawing: the run
in which it came back is then the first one, and the one in which the degraded image stands in its place the
second.
"""

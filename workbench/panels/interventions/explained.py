"""How to read the panel, in Markdown."""

READING = """
The model answers the question about the *degraded* image: it thinks, draws what it believes is there, gets
its drawing back, and answers. Then everything up to the drawing (system prompt, image, question, thought) is
kept as it is, **something else is put in place of the drawing**, and the model answers again.

**Δ log p** is how much the log-probability of the answer that it gave after its own drawing changes, in nats,
by the same route: −0.7 halves the probability, −2.3 makes it a tenth. It is teacher-forced, with the end of
the answer. A **bold** answer is another one than after the own drawing. If noise or an empty picture leave
the answer as it was, the answer does not rest on the drawing, however good that looks. Where nothing is said
after the own drawing there is no answer that could change: that is said, and counts in no share.

**Routes.** *re-encode*: the picture goes through the vision tower once more; *bridge*: its latent tokens are
read as they are (of a picture that was not drawn, the autoencoder's mean latent); *both*. Each route is
compared with the own drawing by that route.

**In place of the drawing** stand: nothing (the answer *same context, no drawing* of the panel States), the
degraded image once more, the clean image, another image (the clean image of another sample, chosen by the
seed: of one picture a drawn scene, of a collection the sample a fixed distance further on), a grey picture
(level 128), noise (each value drawn evenly, by the seed), and what you paint over the drawing. Which states
there are is ours; CLEAR (arXiv 2604.04780, section 4.4) tries the degraded image's latent at the bridge.

**The thought** after the drawing is thought *anew* about what stands there. It can also be *kept* as it was:
then only what the answer itself reads from the picture changes, not what was thought about it.

One picture shows one case. Over **a collection** the same is asked about many images, once each unless more
questions are asked for, those of a test split first: means with 95 % intervals over images, paired with the
own drawing (of a share that is 0 or 100 % Wilson's interval). What is right is told by the kind of question,
as in Robustness. Work that was
ended, even by a kill, goes on where it was when the same look is asked for again.
"""

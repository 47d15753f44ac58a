"""How to read the panel."""

READING = """
Choose words of the answer, a layer and a head, and see where in the image they look. What goes in is the
image as the bench says, with the bench's question; the attention is that of the queries that say the chosen
tokens, read beside the model's own kernel. Everything is kept in the result: nothing is computed again.

**One layer**: the share of its attention that a token gives to each patch in the layer that writes the
stage; of several tokens the mean. *Largest of the heads* takes, patch by patch, the head that gives most.
**Rollout** multiplies the layers' attention through, each mixed half and half with the residual stream
(Abnar & Zuidema 2020): what of the patches that entered is in the token by then, if values only travelled
by attention. **Flow** takes attention as the width of pipes and asks how much could pass from a patch to
the token through all layers at once; it is computed where *Measurement* asks for it.

**Weighted by values** multiplies each weight by the length of what it brings, ‖v W_O‖ of the head
(Kobayashi et al. 2020), and scales the row to its old sum: a token that is attended to and brings nothing
falls out.

**Sinks** are tokens that draw attention whatever they say. Three rules, from three literatures: *attended
to by all* (mean attention over all queries that see the token, after Xiao et al. 2024 and Gu et al. 2025),
*massive activations* (20 times the state's root mean square in a dimension in which the first token is
massive at the same stage; Kang et al. 2025 take one set of dimensions for each model), and *outlier norms*
(Darcet et al. 2024). Where a rule compares numbers, a token counts that exceeds the median of its kind by
six median absolute deviations, and twice the median: ours. Sinks that are left out are crossed out, and the
rest is scaled up to what the row was.

**The drawing**: where the model drew, its picture can be looked at like the image; and *the drawing* as a
source shows what its own cells attend to in the image while it is made, at one moment of the flow.

**The curves** are shares of attention by kind of token: of one image the mean over heads, the band from the
least to the most of a head; over a collection the mean over images with its 95 % interval. **The matrix**
has the mean over all tokens of a kind, not of the answer's alone.

Attention says where a layer looks, not what the answer rests on: what was looked at may not have been used,
and information may have travelled before (Jain & Wallace 2019). *Attribution* and *Causal* ask that.
"""

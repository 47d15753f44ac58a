"""How to read attributions, in words."""

READING = """
**What is explained** is the log-probability of the model's own answer, of one of its words, or, where
another answer is named, how far the first leads over it. A map says of each cell (what one visual token of
the language model stands for) what it counts. All maps are divided by their own largest value, so that they
share one scale: orange speaks for what is explained, blue against it. Attention, relevancy, saliency and
Grad-CAM have no sign.

**The methods.** *Attention*: where the queries that say the answer look, the mean over heads; it says where
a layer looks, not what it takes from there. *Relevancy*: gradient × attention, rolled out over the layers
(Chefer et al. 2021). *Saliency*, *input × gradient*, *integrated gradients* and *GradientSHAP* follow the
gradient back to the pixels; *IG of tokens* only to where visual tokens enter the language model. *Grad-CAM*
weighs states by their mean gradient at each layer. *DeepLIFT* has rules for activations but none for
attention and gates; where its contributions do not sum to what they must, it says that it does not apply.
*Occlusion* slides a window over the image, *ablation* takes regions away one by one, *KernelSHAP* and
*LIME* many at a time. *Random* is drawn. They are computed by Captum, but for attention, relevancy and
Grad-CAM of all layers at once.

**A drawing** can be explained instead of the answer (*Explained* under Measurement): parts of the image are
taken away, the model thinks and draws again from the same noise, and a map says how far the drawing, or one
patch of it, moves. Only the methods that take parts away can tell that, and every image they try costs a
drawing. Deletion and insertion are then shares of how far it moves with nothing of the image left (ours).

**Whether to trust a map.** *Deletion*: cells are taken away, the largest value first; the curve is the
answer's probability, its area is small for a faithful map. *Insertion*: they are given back to an empty
image; a large area is good (Petsiuk et al. 2018). *Infidelity*: how badly the map foretells what taking
cells away at random does, 0 to 1, after the best scaling (Yeh et al. 2019). *Sensitivity*: how far the map
moves when the image changes by a few levels of 255, as a share of its length. *Agreement*: the mean rank
correlation with the other methods. Any map should beat the random one. What stands where something is taken
away, "the baseline", is a choice of its own: an image with a grey hole is one that the model never saw.

**On drawn scenes** the mask of what the question names is known. *Pointing*: whether the largest cell hits
it, within half a cell (Zhang et al. 2018; where several are largest, the share that hits). *Energy in
mask*: the share of the map's positive values inside (Wang et al. 2020). A model need not look at the thing
alone to be right, so a map that leaves it is not wrong by that.

**Layers.** *All layers* is the mean over a method's layers, each divided by its sum (ours); the curves are
of that one. Over a collection every map is of the whole answer.
"""

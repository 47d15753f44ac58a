"""Atlas: the visual tokens of one or many images on a plane, and which patch each of them is."""

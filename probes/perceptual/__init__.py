"""How near a picture is to another, as measures of image quality have it; a file for each family.

Every measure takes two batches of pictures, float tensors (N, 3, H, W) in 0..255, the picture first and the
reference second, and gives float (N,). Those without learned weights compute in the number type given;
the registry names them all, with direction, range and source.
"""

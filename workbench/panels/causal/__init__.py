"""Where the damage enters, and through which layers the image reaches the answer."""

"""What other ways of mirroring say, carried over into a manifest. Pure: texts and values in, values out."""

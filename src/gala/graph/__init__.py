"""The nouns: cache rows, region graphs and merge trees."""

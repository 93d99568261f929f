"""Books of venues: kept by each venue's rule, told of while they are whole."""

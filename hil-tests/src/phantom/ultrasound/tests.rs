//! Whole videos: same bytes for a seed, truth that agrees with the pixels, speckle and shadows as physics has them.

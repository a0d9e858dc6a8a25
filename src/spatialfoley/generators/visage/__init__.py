"""ViSAGe: silent video to the codec tokens of first-order ambisonics, in the published key layout."""

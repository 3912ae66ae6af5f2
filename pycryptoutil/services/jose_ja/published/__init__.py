"""The published sets: public halves, for anybody."""

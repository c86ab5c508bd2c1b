"""Scored runs in the forms that other tools read: one file per form behind one small contract."""

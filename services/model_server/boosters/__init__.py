"""Files of gradient boosting libraries, checked before their libraries read them, whose readers check little.

The checks are pure: from the bytes of a file to a ``ValueError`` that says what in it does not fit the rest.
"""

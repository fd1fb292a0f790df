"""Row keys: functions of the alert alone, so that writing an alert twice leaves one row.

Parts are joined by ``_``; in each part all but letters, digits, ``.``, ``+`` and ``-`` is written as ``%XX``, so no
object name and no class can reach beyond its part. jd is written with seven digits behind the point (days, UTC), and
has seven before it from 1858 to 22,000, so that keys sort by time.

Keys that begin with a time or a class would send a whole night to one region of a cluster: they are salted, with one
digit that is a function of the object's name, and read by as many scans as there are salts. Positions begin with the
nested HEALPix pixel of order 12 (51″) in nine digits: a disc on the sky is a few ranges of keys, however large.
"""

"""Names of the fields of ZTF alert schema 4.02, in the schema's order (a test compares them with the schema)."""

from __future__ import annotations

_IMAGE = """
jd fid pid diffmaglim pdiffimfilename programpi programid candid isdiffpos tblid nid rcid field xpos ypos ra dec
"""
_SOURCE = """
magpsf sigmapsf chipsf magap sigmagap distnr magnr sigmagnr chinr sharpnr sky magdiff fwhm classtar mindtoedge
magfromlim seeratio aimage bimage aimagerat bimagerat elong nneg nbad rb ssdistnr ssmagnr ssnamenr sumrat magapbig
sigmagapbig ranr decnr
"""
_CALIBRATION = """
scorr magzpsci magzpsciunc magzpscirms clrcoeff clrcounc rbversion
"""
_CATALOGUES_AND_CALIBRATION = """
sgmag1 srmag1 simag1 szmag1 sgscore1 distpsnr1 ndethist ncovhist jdstarthist jdendhist scorr tooflag objectidps1
objectidps2 sgmag2 srmag2 simag2 szmag2 sgscore2 distpsnr2 objectidps3 sgmag3 srmag3 simag3 szmag3 sgscore3 distpsnr3
nmtchps rfid jdstartref jdendref nframesref rbversion dsnrms ssnrms dsdiff magzpsci magzpsciunc magzpscirms nmatches
clrcoeff clrcounc zpclrcov zpmed clrmed clrrms neargaia neargaiabright maggaia maggaiabright exptime drb drbversion
"""
_FORCED = """
field rcid fid pid rfid sciinpseeing scibckgnd scisigpix magzpsci magzpsciunc magzpscirms clrcoeff clrcounc exptime
adpctdif1 adpctdif2 diffmaglim programid jd forcediffimflux forcediffimfluxunc procstatus distnr ranr decnr magnr
sigmagnr chinr sharpnr
"""
_NOT_SINGLE = """
jd fid pid pdiffimfilename programpi programid candid isdiffpos tblid nid rcid field ra dec nneg nbad ssnamenr ranr
decnr ndethist ncovhist jdstarthist jdendhist scorr tooflag objectidps1 objectidps2 objectidps3 nmtchps rfid jdstartref
jdendref nframesref rbversion nmatches drbversion procstatus
"""
PREVIOUS = tuple((_IMAGE + _SOURCE + _CALIBRATION).split())
CANDIDATE = tuple((_IMAGE + _SOURCE + _CATALOGUES_AND_CALIBRATION).split())
FORCED = tuple(_FORCED.split())
#: Fields with 32-bit numbers: rounded so that a packet read back from Avro is the same
CANDIDATE_SINGLE = tuple(name for name in CANDIDATE if name not in _NOT_SINGLE.split())
FORCED_SINGLE = tuple(name for name in FORCED if name not in _NOT_SINGLE.split())

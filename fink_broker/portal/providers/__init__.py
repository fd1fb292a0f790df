"""Services outside that the API asks: names on the sky and in the solar system, ephemerides, skymaps."""

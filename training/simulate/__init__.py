"""Radiographs by simulation: a skeleton's meshes posed, projected through a cone beam, detected, toned and framed.

The world is in metres, in anatomical position: x lateral, y anterior, z up. Images are float32 (height, width), row 0
on top; lengths are in m, attenuation in 1/m, so that their product, the optical depth, has no unit.
"""

"""What a data set's header says, as far as the decision needs it."""

import pytest
from pydicom import Dataset

from dicom_node.header import header_region


@pytest.mark.parametrize(
    ("elements", "sided"),
    [
        ({}, False),
        ({"Laterality": ""}, False),
        ({"Laterality": "R"}, True),
        ({"ImageLaterality": "L"}, True),
        ({"Laterality": "", "ImageLaterality": "R"}, True),
        ({"ImageLaterality": "U"}, False),
        ({"ImageLaterality": "B"}, False),
    ],
)
def test_a_side_is_the_right_or_the_left_of_series_or_image(elements: dict[str, str], sided: bool) -> None:
    ds = Dataset()
    ds.BodyPartExamined = "HIP"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    assert (header_region(ds).term, header_region(ds).sided) == ("HIP", sided)

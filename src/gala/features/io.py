"""Feature managers from descriptions of them, those that the historic library wrote included."""

from __future__ import annotations

from gala.errors import FeatureError
from gala.features.base import Composite, Json, Null

_managers = {"inclusiveness": "inclusion"}  # historic names, and those of today
_parameters = {"moments": {"use_diff": "use_diff_features"}}


def create_fm(fm_info: Json) -> Null:
    """Return the feature manager that `write_fm` described.

    Parameters
    ----------
    fm_info : dict
        What `write_fm` returned, here or in the historic library, or what was read from it as JSON.

    Returns
    -------
    manager : feature manager
        The manager itself if there is one, or a `Composite` of several.

    Raises
    ------
    FeatureError
        If the description lacks something, names no manager, or one that is not known.

    Examples
    --------
    >>> create_fm({"feature_list": ["graph"], "graph": {}}).write_fm()
    {'feature_list': ['graph'], 'graph': {}}
    """
    names = {name: _managers.get(name, name) for name in fm_info.get("feature_list", ())}
    if not names:
        raise FeatureError("the description of features names no manager in its feature_list.")
    description: Json = {**fm_info, "feature_list": list(names.values())}
    for name, today in names.items():
        if name in fm_info:
            renamed = _parameters.get(today, {})
            description[today] = {renamed.get(key, key): value for key, value in fm_info[name].items()}
    children = Composite.load_dict(description).children
    return children[0] if len(children) == 1 else Composite(children)

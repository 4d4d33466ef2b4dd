"""scikit-learn-intelex: scikit-learn's estimator over oneDAL."""

from .scikit_learn import Lloyd


class Intelex(Lloyd):
    name = "intelex"
    requires = ("scikit-learn-intelex",)
    imports = ("sklearnex.cluster",)

    @classmethod
    def offers(cls, task):
        return task != "seed" and super().offers(task)  # has no seeding function of its own

    @staticmethod
    def _estimator():
        from sklearnex.cluster import KMeans

        return KMeans

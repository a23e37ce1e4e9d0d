import numpy


def handler(event, context):
    size = event["size"]
    matrix = numpy.random.default_rng(7).random((size, size)) + size * numpy.eye(size)
    solved = numpy.linalg.solve(matrix, matrix @ numpy.ones(size))
    spectrum = numpy.fft.rfft(numpy.sin(numpy.linspace(0, 20 * numpy.pi, 1000, endpoint=False)))
    return {"ones": bool(numpy.allclose(solved, 1)), "peak": int(abs(spectrum).argmax())}

// An exception as JSON: `class` is the class of the SDK's package that it is an instance of, which
// is what a program's `instanceof` sees; null if the package has none of that name.
export const caught = (sdk, error) => ({
  class: sdk[error.name] && error instanceof sdk[error.name] ? error.name : null,
  name: error.name,
  message: error.message,
  status: error.$metadata?.httpStatusCode ?? null,
  attempts: error.$metadata?.attempts ?? null,
});

// What `run` throws, as JSON; it must throw.
export const failure = async (sdk, run) => {
  try {
    await run();
  } catch (error) {
    return caught(sdk, error);
  }
  throw new Error("nothing was thrown");
};

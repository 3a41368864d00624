/**
 * Variables of the environment for tests of what reads them. The environment is the whole process's, and so
 * that of the tests that run beside; these values are seen by one file of tests only.
 *
 * @module
 */

/**
 * Has `Deno.env`, and Node's `process.env` with it, tell some variables otherwise, until this is disposed.
 *
 * @param values Their values; one without is not set.
 */
export function environment(values: Readonly<Record<string, string | undefined>>): Disposable {
  const { get, toObject } = Deno.env;
  const all = (): Record<string, string> => {
    const merged = Object.entries({ ...toObject.call(Deno.env), ...values });
    return Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== undefined));
  };
  Object.assign(Deno.env, {
    get: (name: string) => Object.hasOwn(values, name) ? values[name] : get.call(Deno.env, name),
    toObject: all,
  });
  return { [Symbol.dispose]: () => void Object.assign(Deno.env, { get, toObject }) };
}

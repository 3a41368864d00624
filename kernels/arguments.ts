/**
 * The checks that kernels and operations make of their arguments, so that all say in the same words what was
 * wanted and what was given. Checks of arrays are in `device.ts`, those of inputs in `operations/input.ts`.
 *
 * @module
 */

/**
 * Checks that a number is an integer within bounds.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is no integer or out of bounds.
 */
export function requireInteger(
  value: number,
  name: string,
  action: string,
  bounds: { min: number; max?: number },
): void {
  const { min, max = Number.MAX_SAFE_INTEGER } = bounds;
  if (typeof value !== "number") {
    throw new TypeError(`Cannot ${action} as ${name} must be a number: current value is ${String(value)}`);
  }
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    const range = bounds.max === undefined ? `>= ${min}` : `from ${min} to ${max}`;
    throw new RangeError(
      `Cannot ${action} as ${name} must be an integer ${range}: current value is ${value}`,
    );
  }
}

/**
 * Checks that a number is within bounds.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is out of bounds or NaN.
 */
export function requireNumber(
  value: number,
  name: string,
  action: string,
  bounds: { min: number; max: number },
): void {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot ${action} as ${name} must be a number: current value is ${String(value)}`);
  }
  if (!(value >= bounds.min && value <= bounds.max)) {
    throw new RangeError(
      `Cannot ${action} as ${name} must be from ${bounds.min} to ${bounds.max}: current value is ${value}`,
    );
  }
}

/**
 * Checks that a value is one of a few words.
 *
 * @throws {TypeError} If it is not.
 */
export function requireChoice<Choice extends string>(
  value: Choice,
  choices: readonly Choice[],
  name: string,
  action: string,
): void {
  if (!choices.includes(value)) {
    const wanted = choices.map((choice) => `"${choice}"`).join(", ");
    throw new TypeError(
      `Cannot ${action} as ${name} must be one of ${wanted}: current value is ${String(value)}`,
    );
  }
}

/**
 * Checks that all options are known, as a misspelt one would be ignored silently.
 *
 * @throws {TypeError} If one is not.
 */
export function requireOptions(options: object, known: readonly string[], action: string): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${action} as the options must be an object: current value is ${describe(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new TypeError(
      `Cannot ${action} as the option "${name}" is unknown: options are ${known.join(", ")}`,
    );
  }
}

/** What was given, as messages name it. */
export function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return value.constructor?.name ?? "an object";
}

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { float, parseForm } from "../../src/io/json-form.ts";

const test = suite("JSON with the form of its numbers");

const same = (text: string) => assert.is(JSON.stringify(parseForm(text)), text);

test("numbers are written as they were read", () => {
  same('{"a":1.0,"b":1e-06,"c":-0.50,"d":[2.0,{"e":1E3}],"f":1000000000000000019884624838656}');
  same('{"a":1,"b":0.1,"c":null,"d":"1.0","e":true,"f":[]}');
});

test("numbers of fields that are floating-point ones are written as such", () => {
  const isFloat = (key: string) => key === "rate";
  const value = parseForm('{"rate":0,"size":1,"of":{"rate":-2},"rates":1e-06}', isFloat);
  assert.is(JSON.stringify(value), '{"rate":0.0,"size":1,"of":{"rate":-2.0},"rates":1e-06}');
  assert.is(JSON.stringify([float(0), float(1), float(0.1), float(1e-7)]), "[0.0,1.0,0.1,1e-7]");
});

test.run();

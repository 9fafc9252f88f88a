// Reads an AsyncAPI document from standard input and says what the official parser has against it, as JSON.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const said = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path }));
console.log(JSON.stringify(said));

"use strict";
// Builds the page from /openapi.json. Texts are put in as texts only; the key is kept nowhere but in its field.
const el = (name, fields, ...inside) => {
  const made = Object.assign(document.createElement(name), fields);
  made.append(...inside.filter((one) => one !== null && one !== undefined));
  return made;
};
const main = el("main");
const key = el("input", { type: "password", placeholder: "API key", autocomplete: "off", size: 30, ariaLabel: "API key" });
const form = el("select", { ariaLabel: "form of documents" }, el("option", { value: "json" }, "JSON"), el("option", { value: "xml" }, "XML"));
const find = el("input", { type: "search", placeholder: "find a call", ariaLabel: "find a call" });
document.body.append(el("header", {}, el("h1", {}, "The API of Alf"), find, form, key), main);

let api;
const resolve = (one) => (one && one.$ref ? resolve(one.$ref.slice(2).split("/").reduce((at, part) => at[part], api)) : one);
const wanted = (content) => {
  const kinds = Object.keys(content || {});
  return kinds.find((kind) => kind.endsWith(form.value)) || kinds[0];
};
const shown = (example) => (typeof example === "string" ? example : JSON.stringify(example, null, 2));

function kindOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return schema.oneOf.map(kindOf).join(" or ");
  if (schema.enum) return schema.enum.join(", ");
  if (schema.items) return "list of " + kindOf(schema.items);
  if (schema.additionalProperties && typeof schema.additionalProperties === "object") return "map";
  return [].concat(schema.type || "any").join(" or ");
}

function fieldsOf(schema) {
  const whole = resolve(schema) || {};
  const choice = whole.oneOf && whole.oneOf.map(resolve).find((one) => one.type !== "null");
  const properties = (choice || whole).properties;
  if (!properties) return el("div", {}, kindOf(schema), whole.description ? ": " + whole.description : "", whole.pattern ? " " + whole.pattern : "");
  const rows = Object.entries(properties).map(([name, of]) => {
    const inner = [of, of.items, ...(of.oneOf || [])].find((one) => one && one.$ref);
    const more = inner && lazily(kindOf(of), () => fieldsOf(inner));
    const notes = [of.readOnly ? "read-only" : "", of.default !== undefined ? "default " + of.default : "", of.description || (of.oneOf && of.oneOf[0].description) || ""];
    return el("tr", {}, el("td", { className: "path" }, name), el("td", {}, more || kindOf(of)), el("td", {}, notes.filter(Boolean).join("; ")));
  });
  return el("table", {}, el("tr", {}, el("th", {}, "field"), el("th", {}, "type"), el("th", {}, "")), ...rows);
}

// What is folded in is built when it is opened: schemas hold themselves.
function lazily(title, build) {
  const inside = el("div");
  const folded = el("details", {}, el("summary", {}, ...[].concat(title)), inside);
  folded.addEventListener("toggle", () => {
    if (folded.open && !inside.hasChildNodes()) inside.append(...[].concat(build()));
  });
  return folded;
}

function answersOf(call) {
  return Object.entries(call.responses).map(([status, one]) => {
    const answer = resolve(one);
    const kind = wanted(answer.content);
    const title = status + " " + answer.description + (kind ? " (" + kind + ")" : "");
    if (!kind) return el("div", {}, title);
    return lazily(title, () => [el("pre", {}, shown(answer.content[kind].example)), fieldsOf(answer.content[kind].schema)]);
  });
}

function callOf(path, method, call) {
  const inputs = (call.parameters || []).map((one) => ({ one, input: el("input", { placeholder: kindOf(one.schema), size: 30 }) }));
  const body = call.requestBody && el("textarea", { spellcheck: false, ariaLabel: "body" });
  const kinds = call.requestBody && el("select", { ariaLabel: "type of the body" }, ...Object.keys(call.requestBody.content).map((kind) => el("option", {}, kind)));
  if (body) {
    kinds.value = wanted(call.requestBody.content);
    const fill = () => (body.value = shown(call.requestBody.content[kinds.value].example));
    kinds.addEventListener("change", fill);
    fill();
  }
  const answer = el("pre", { hidden: true });
  const send = el("button", { type: "button" }, "Send");
  // A stream of events goes on until it is stopped.
  let going = null;
  send.addEventListener("click", async () => {
    if (going) return going.abort();
    going = new AbortController();
    send.textContent = "Stop";
    await ask(path, method, call, inputs, body, kinds, answer, going.signal);
    going = null;
    send.textContent = "Send";
  });
  const rows = inputs.map(({ one, input }) =>
    el("tr", {}, el("td", { className: "path" }, one.name + (one.required ? " *" : "")), el("td", {}, one.in), el("td", {}, input), el("td", {}, one.description || "")));
  return [
    el("p", {}, call.description || ""),
    rows.length ? el("table", {}, ...rows) : null,
    body ? el("div", { className: "row" }, "Body", kinds, call.requestBody.required ? "" : "may be left empty") : null,
    body,
    body ? lazily("its fields", () => fieldsOf(call.requestBody.content[kinds.value].schema)) : null,
    el("div", { className: "row" }, send),
    answer,
    el("h2", {}, "Answers"),
    ...answersOf(call),
  ].filter(Boolean);
}

async function ask(path, method, call, inputs, body, kinds, answer, signal) {
  let url = path;
  const query = new URLSearchParams();
  const headers = { Accept: form.value === "xml" ? "application/xml" : "application/json" };
  if (call.responses["200"] && resolve(call.responses["200"]).content && resolve(call.responses["200"]).content["text/event-stream"]) headers.Accept = "text/event-stream";
  for (const { one, input } of inputs) {
    if (one.in === "path") url = url.replace("{" + one.name + "}", encodeURIComponent(input.value));
    else if (input.value !== "" && one.in === "query") query.set(one.name, input.value);
    else if (input.value !== "") headers[one.name] = input.value;
  }
  if (query.size) url += "?" + query;
  if (key.value && call.security.length) headers.Authorization = "Bearer " + key.value;
  const request = { method: method.toUpperCase(), headers, credentials: "omit", cache: "no-store", signal };
  if (body && body.value) {
    headers["Content-Type"] = kinds.value;
    request.body = body.value;
  }
  answer.hidden = false;
  answer.textContent = "";
  try {
    const got = await fetch(url, request);
    const head = [got.status + " " + got.statusText, ...[...got.headers].map(([name, value]) => name + ": " + value)].join("\n");
    answer.textContent = head + "\n\n";
    if (!got.body) return;
    let text = "";
    const reader = got.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += part.value;
      answer.textContent = head + "\n\n" + text;
    }
    if ((got.headers.get("content-type") || "").includes("json")) answer.textContent = head + "\n\n" + JSON.stringify(JSON.parse(text), null, 2);
  } catch (error) {
    answer.textContent += signal.aborted ? "\n(stopped)" : String(error);
  }
}

function draw() {
  const words = find.value.toLowerCase();
  const tags = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, call] of Object.entries(methods)) {
      if (!(method + " " + path + " " + call.summary).toLowerCase().includes(words)) continue;
      const needs = [call["x-alf-role"] || "no key", call["x-alf-exec"] && "exec", call["x-alf-hosts"] === "all" && "all hosts"];
      const title = [
        el("span", { className: "method" }, method.toUpperCase()), el("span", { className: "path" }, path), " ", call.summary,
        el("span", { className: "role" }, needs.filter(Boolean).join(", "))];
      const tag = call.tags[0];
      tags.set(tag, [...(tags.get(tag) || []), lazily(title, () => callOf(path, method, call))]);
    }
  }
  const parts = [...tags].sort(([one], [other]) => (one < other ? -1 : 1)).flatMap(([tag, calls]) => [el("h2", {}, tag), ...calls]);
  const about = lazily("What there is to know", () => el("div", { className: "info" }, api.info.description));
  main.replaceChildren(el("p", {}, "Version " + api.info.version + ". ", el("a", { href: "/openapi.json" }, "openapi.json")), about, ...parts);
}

fetch("/openapi.json", { credentials: "omit" })
  .then((got) => got.json())
  .then((got) => {
    api = got;
    find.addEventListener("input", draw);
    form.addEventListener("change", draw);
    draw();
  })
  .catch((error) => main.append("The document cannot be read: " + error));

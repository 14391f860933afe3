// Points drawn by WebGL2: one canvas, any number of panels, each with its own cells and colours.
//
// Written here rather than taken from a library: those of the field build code from text, which the
// content security policy of this page forbids, or weigh more than the rest of the app.

const VERTEX = `#version 300 es
layout(location=0) in vec2 place; layout(location=1) in vec4 paint;
uniform vec4 view; uniform float size; uniform vec4 veil; out vec3 colour;
void main() {
  gl_Position = vec4(place * view.xy + view.zw, 0.0, 1.0); gl_PointSize = paint.a > 0.0 ? size : 0.0;
  colour = mix(paint.rgb, veil.rgb, veil.a);
}`;
// Small points are squares, whose corners nobody sees; large ones are round with soft edges.
const FRAGMENT = `#version 300 es
precision highp float; in vec3 colour; uniform float size; out vec4 shown;
void main() {
  float cover = size > 3.5 ? clamp(size * (0.5 - length(gl_PointCoord - 0.5)) + 0.5, 0.0, 1.0) : 1.0;
  shown = vec4(colour, cover);
}`;

export class Points {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, depth: false });
    this.gl = gl;
    this.canvas = canvas;
    this.orders = new Map();
    this.colours = new Map();
    this.program = link(gl);
    this.at = Object.fromEntries(["view", "size", "veil"].map((name) => [name, gl.getUniformLocation(this.program, name)]));
    this.places = gl.createBuffer();
    this.array = gl.createVertexArray();
  }

  /** Places of all cells, `x, y, x, y, ...` from -1 to 1. */
  setPlaces(places) {
    const { gl } = this;
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    for (const one of this.colours.values()) gl.deleteBuffer(one);
    this.colours.clear();
  }

  /** Which cells to draw and in which order; the first `nVeiled` are faded. */
  setOrder(name, rows, nVeiled = 0) {
    const { gl } = this;
    const buffer = this.orders.get(name)?.buffer ?? gl.createBuffer();
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, rows, gl.DYNAMIC_DRAW);
    this.orders.set(name, { buffer, n: rows.length, nVeiled });
  }

  /** Colours of all cells, four bytes each; an opacity of zero hides the cell. */
  setColours(name, bytes) {
    const { gl } = this;
    const buffer = this.colours.get(name) ?? gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, bytes, gl.DYNAMIC_DRAW);
    this.colours.set(name, buffer);
  }

  /** Draw panels `{x, y, width, height, order, colours, view}` in pixels from the top left. */
  draw(panels, { size, paper, veil }) {
    const { gl } = this;
    gl.disable(gl.SCISSOR_TEST);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...paper, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    gl.bindVertexArray(this.array);
    gl.enable(gl.SCISSOR_TEST);
    if (size > 3.5) gl.enable(gl.BLEND);
    else gl.disable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    for (const panel of panels) {
      const order = this.orders.get(panel.order);
      if (!order?.n || !this.colours.has(panel.colours)) continue;
      const bottom = this.canvas.height - panel.y - panel.height;
      gl.viewport(panel.x, bottom, panel.width, panel.height);
      gl.scissor(panel.x, bottom, panel.width, panel.height);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.colours.get(panel.colours));
      gl.enableVertexAttribArray(1);
      gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, true, 0, 0);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, order.buffer);
      gl.uniform4fv(this.at.view, panel.view);
      gl.uniform1f(this.at.size, size);
      gl.uniform4f(this.at.veil, ...paper, veil);
      if (order.nVeiled) gl.drawElements(gl.POINTS, order.nVeiled, gl.UNSIGNED_INT, 0);
      gl.uniform4f(this.at.veil, ...paper, 0);
      const rest = order.n - order.nVeiled;
      if (rest) gl.drawElements(gl.POINTS, rest, gl.UNSIGNED_INT, 4 * order.nVeiled);
    }
  }

  /** Milliseconds a frame over `n` frames, each waited for: what the browser can do at best. */
  time(panels, look, n = 20) {
    const pixel = new Uint8Array(4);
    const wait = () => this.gl.readPixels(0, 0, 1, 1, this.gl.RGBA, this.gl.UNSIGNED_BYTE, pixel);
    this.draw(panels, look);
    wait();
    const start = performance.now();
    for (let at = 0; at < n; at++) {
      this.draw(panels, look);
      wait();
    }
    return (performance.now() - start) / n;
  }
}

/** Whether the browser has WebGL2, and a graphics processor behind it. */
export function hasWebgl() {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const about = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(about ? about.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

function link(gl) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`The shader does not link: ${gl.getProgramInfoLog(program)}`);
  return program;
}

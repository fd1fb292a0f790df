/* The API page: asks an example, and shows the beginning of the answer as it came. */
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.apidocs = {
  async ask(clicks, question) {
    if (!clicks || !/^\/api\/v1\/[a-z]/.test(question || "")) return window.dash_clientside.no_update;
    const began = performance.now();
    try {
      const answer = await fetch(question);
      const kind = answer.headers.get("Content-Type") || "";
      const bytes = await answer.arrayBuffer();
      const seconds = ((performance.now() - began) / 1000).toFixed(2);
      const size = `${bytes.byteLength.toLocaleString("en")} bytes`;
      const line = `HTTP ${answer.status}, ${kind.split(";")[0]}, ${size} in ${seconds} s`;
      if (!/json|text|csv|xml/.test(kind)) return line;
      const text = new TextDecoder().decode(bytes.slice(0, 3000)).replaceAll('","', '", "').replaceAll(',"', ', "');
      return `${line}\n\n${text}${bytes.byteLength > 3000 ? " …" : ""}`;
    } catch (error) {
      return `No answer: ${error.message}. Try again in a minute.`;
    }
  },
};

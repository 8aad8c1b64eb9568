// Nothing for foldb: webpack 5 knows workers and files that are named by `new URL(…, import.meta.url)`.
export default {
  mode: "production",
  entry: "./app.js",
  experiments: { outputModule: true },
  output: { module: true, filename: "[name].js", clean: true },
};

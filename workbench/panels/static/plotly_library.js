
;(() => {
  if (!globalThis.workbenchPlotly) {
    const deferred = {};
    deferred.promise = new Promise((resolve) => { deferred.resolve = resolve; });
    globalThis.workbenchPlotly = deferred;
  }
  globalThis.workbenchPlotly.resolve(globalThis.Plotly);
})();
export default { render() {} };

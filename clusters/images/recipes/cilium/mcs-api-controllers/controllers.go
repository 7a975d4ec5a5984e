// Package controllers has the one name of sigs.k8s.io/mcs-api/controllers that Cilium's programs read. The package lies
// in a nested module, which some Go module proxies do not serve; what it is for, services of several clusters, is off
// here.
package controllers

// DerivedServiceAnnotation is the annotation of a ServiceImport that names the Service derived from it.
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
